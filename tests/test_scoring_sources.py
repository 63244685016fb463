"""What is scored: files of every kind, columns of every kind, and what is refused before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests import cascades
from tests.scoring import Array, labels, lists, results, rows, score, sent, table, written
from tests.servers.counted import counted


def same(*specs: tuple[str, int, list[Any]]) -> oh.Model:
    """A model that gives each input back, under its name and `_out`."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in specs]
    inputs = [helper.make_tensor_value_info(*spec) for spec in specs]
    outputs = [helper.make_tensor_value_info(f"{name}_out", kind, shape) for name, kind, shape in specs]
    graph = helper.make_graph(nodes, "same", inputs, outputs)
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


FLOAT, TEXT, UINT8, INT64, BOOL = (
    TensorProto.FLOAT,
    TensorProto.STRING,
    TensorProto.UINT8,
    TensorProto.INT64,
    TensorProto.BOOL,
)


def as_csv(folder: Path, x: Array) -> Path:
    lines = ["id,a,b", *(f"{number},{row[0]},{row[1]}" for number, row in enumerate(x.tolist()))]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return folder / "rows.csv"


def as_jsonl(folder: Path, x: Array) -> Path:
    lines = [json.dumps({"id": number, "x": row}) for number, row in enumerate(x.tolist())]
    (folder / "rows.jsonl").write_text("\n\n".join(lines))
    return folder / "rows.jsonl"


def as_npz(folder: Path, x: Array) -> Path:
    np.savez_compressed(folder / "rows.npz", id=np.arange(len(x)), x=x)
    return folder / "rows.npz"


@pytest.mark.parametrize("make", [written, as_jsonl, as_npz])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, make: Callable[[Path, Array], Path]) -> None:
    x = rows(333)
    score(cascades.cascade(), make(tmp_path, x), tmp_path / "out")
    assert results(tmp_path / "out")["id"].to_pylist() == list(range(333))
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


def test_a_csv_feeds_scalars_and_keeps_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        'id,name,f,ok,n\n007,"a ""b"", c\nd",1.5,true,3\n08,,2,false,4\n\n9,x,-1,TRUE,5\n'
    )
    model = same(("f", FLOAT, ["n"]), ("ok", BOOL, ["n"]), ("name", TEXT, ["n"]))
    score(model, tmp_path / "rows.csv", tmp_path / "out", keep=["n"])
    assert results(tmp_path / "out").to_pydict() == {
        "id": ["007", "08", "9"],
        "n": [3, 4, 5],
        "f_out": [1.5, 2.0, -1.0],
        "ok_out": [True, False, True],
        "name_out": ['a "b", c\nd', "", "x"],
    }


@pytest.mark.parametrize("ending", ["csv", "jsonl", "npz", "parquet"])
def test_a_value_a_row_feeds_inputs_whose_further_axes_have_one_element(tmp_path: Path, ending: str) -> None:
    model = same(("age", FLOAT, ["n", 1]), ("plan", TEXT, ["n", 1]), ("one", INT64, ["n", 1, 1]))
    held: dict[str, list[Any]] = {"id": [7, 8, 9], "age": [1.5, 2.5, 3.5], "plan": ["a", "b", "c"], "one": [4, 5, 6]}
    path = tmp_path / f"rows.{ending}"
    lines = [dict(zip(held, row, strict=True)) for row in zip(*held.values(), strict=True)]
    if ending == "csv":
        path.write_text("\n".join([",".join(held), *(",".join(map(str, line.values())) for line in lines)]))
    elif ending == "jsonl":
        path.write_text("\n".join(map(json.dumps, lines)))
    elif ending == "npz":
        np.savez(path, id=held["id"], age=held["age"], plan=held["plan"], one=held["one"])
    else:
        pq.write_table(pa.table(held), path)
    score(model, path, tmp_path / "scored")
    found = results(tmp_path / "scored").to_pydict()
    assert found["age_out"] == [[1.5], [2.5], [3.5]]
    assert found["plan_out"] == [["a"], ["b"], ["c"]]
    assert found["one_out"] == [[[4]], [[5]], [[6]]]


@pytest.mark.parametrize("pattern", ["folder", "folder/*.parquet", "memory://scored/*.parquet", "memory://scored"])
def test_folders_patterns_and_urls_are_sources(tmp_path: Path, pattern: str) -> None:
    fsspec = pytest.importorskip("fsspec")
    x = rows(50)
    (tmp_path / "folder").mkdir()
    for number in range(2):
        pq.write_table(table(x).slice(25 * number, 25), tmp_path / "folder" / f"{number}.parquet")
    pq.write_table(table(x), tmp_path / "folder" / "_old.parquet")
    memory = fsspec.filesystem("memory")
    for name in ("0.parquet", "1.parquet", "_old.parquet"):
        memory.pipe(f"/scored/{name}", (tmp_path / "folder" / name).read_bytes())
    source = pattern if "://" in pattern else str(tmp_path / pattern)
    score(cascades.cascade(), source, tmp_path / "out")
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


def test_bytes_are_a_file_a_row_and_texts_stay_as_they_are(tmp_path: Path) -> None:
    files = [b"", b"\x00\xff", b"RIFF" * 100]
    source = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "ü"], "file": files}), source)
    score(same(("file", UINT8, ["bytes"])), source, tmp_path / "out")
    assert [bytes(row) for row in results(tmp_path / "out")["file_out"].to_pylist()] == files


def test_nested_lists_are_axes_and_columns_have_other_names(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(20, 3, 4, 5)).astype(np.float32)
    source = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": np.arange(20), "pixels": images.tolist()}), source)
    score(same(("image", FLOAT, ["n", 3, 4, 5])), source, tmp_path / "out", columns={"image": "pixels"}, batch=7)
    found = results(tmp_path / "out")
    assert found.schema.field("image_out").type == pa.list_(pa.list_(pa.list_(pa.float32(), 5), 4), 3)
    assert np.array_equal(np.array(found["image_out"].to_pylist(), np.float32), images)


def test_a_model_of_one_row_is_fed_rows_and_its_axis_is_no_list(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    pq.write_table(pa.table({"id": np.arange(9), "x": lists(x), "y": x[:, 0]}), tmp_path / "rows.parquet")
    score(same(("x", FLOAT, [1, 4]), ("y", FLOAT, [])), tmp_path / "rows.parquet", tmp_path / "out")
    found = results(tmp_path / "out")
    assert np.array_equal(np.array(found["x_out"].to_pylist(), np.float32), x)
    assert found["y_out"].to_pylist() == x[:, 0].tolist()


LIST = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("code", "columns", "told"),
    [
        ("OH641", {"id": [1, 2], "y": [1.0, 2.0]}, "no column for the input x"),
        ("OH641", {"id": [1, 2], "x": [1.0, 2.0]}, "a row's value has 0 axes"),
        ("OH641", {"id": [1, 2], "x": [["a"], ["b"]]}, "string is no float32"),
        ("OH641", {"id": [1, 2], "x": pa.array([[1.0] * 4] * 2, pa.list_(pa.float32(), 4))}, "4 elements, and 3"),
        ("OH642", {"id": [1, 2], "x": pa.array([[1.0] * 3, None], LIST)}, "column 'x', row 1: it is null"),
        ("OH642", {"id": [1, 2], "x": pa.array([[1.0] * 3, [1.0, None, 1.0]], LIST)}, "row 1: it is null"),
        ("OH642", {"id": [1, 2], "x": pa.array([[1.0] * 3, [1.0]], LIST)}, "column 'x', row 1: a list of 1"),
        ("OH642", {"id": [1, 2], "x": [[1.0] * 3, [1.0, 1e300, 2.0]]}, "row 1: it holds 1e"),
        ("OH644", {"id": [7, 7], "x": [[1.0] * 3] * 2}, "the key 7 comes twice"),
        ("OH644", {"id": [1, None], "x": [[1.0] * 3] * 2}, "row 1: the key is null"),
        ("OH644", {"id": [1.5, 2.5], "x": [[1.0] * 3] * 2}, "a key is a whole number"),
        ("OH641", {"key": [1, 2], "x": [[1.0] * 3] * 2}, "no column 'id'"),
    ],
)
def test_what_does_not_fit_is_told_with_file_column_and_row_and_nothing_is_sent(
    tmp_path: Path, code: str, columns: dict[str, Any], told: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with counted() as server:
        with pytest.raises(oh.Error) as caught:
            score(cascades.cascade(asked=server.remote()), tmp_path / "rows.parquet", tmp_path / "out")
        assert server.requests == 0
    assert not (tmp_path / "out").exists()
    assert caught.value.code == code
    assert told in caught.value.message
    assert "rows.parquet" in caught.value.message


def test_a_bad_row_of_the_last_file_is_found_first(tmp_path: Path) -> None:
    x = rows(5000)
    good = written(tmp_path / "rows", x)
    good.rename(tmp_path / "rows" / "a.parquet")
    bad = [*x.tolist()[:4321], [1.0, 2.0], *x.tolist()[4322:]]
    pq.write_table(pa.table({"id": np.arange(5000, 10_000), "x": bad}), tmp_path / "rows" / "b.parquet")
    with pytest.raises(oh.Error, match=r"b\.parquet, column 'x': it is of list"):
        score(cascades.cascade(), tmp_path / "rows", tmp_path / "out")
    (tmp_path / "rows" / "a.parquet").unlink()
    with pytest.raises(oh.Error, match=r"b\.parquet, column 'x', row 4321: a list of 2"):
        score(cascades.cascade(), tmp_path / "rows", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "text", "code", "told"),
    [
        ("rows.csv", "id,a\n1,2\n3\n", "OH643", "row 1: Expected 2 columns, got 1"),
        ("rows.csv", "id,a\n1,2\n3,x\n", "OH642", "column 'a', row 1: it is 'x'"),
        ("rows.csv", "id,a\n1,2\n3,\n", "OH642", "column 'a', row 1: it is null"),
        ("rows.csv", 'id,a\n1,2\n3,"4\n', "OH643", "rows.csv"),
        ("rows.csv", "id,id\n1,2\n", "OH643", "two columns are called 'id'"),
        ("rows.csv", "", "OH643", "names no columns"),
        ("rows.csv", "id,a\r1,2\r", "OH643", "end in"),
        ("rows.jsonl", '{"id": 1, "a": 1}\n{"id": 2, "a": \n', "OH643", "row"),
        ("rows.jsonl", '{"id": 1, "a": 1}\n{"id": 2}\n', "OH642", "column 'a', row 1: it is null"),
        ("rows.jsonl", '{"id": 1, "a": 1}\n{"id": 2, "a": "x"}\n', "OH64", "a"),
        ("rows.jsonl", "", "OH640", "no columns"),
        ("rows.parquet", "PAR1", "OH643", "no file of Parquet"),
        ("rows.npz", "PK", "OH643", "no archive"),
        ("rows.txt", "a", "OH640", "none of"),
    ],
)
def test_files_that_are_damaged_are_told(tmp_path: Path, name: str, text: str, code: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(oh.Error) as caught:
        score(same(("a", FLOAT, ["n"])), tmp_path / name, tmp_path / "out")
    assert caught.value.code.startswith(code)
    assert told in caught.value.message


@pytest.mark.parametrize("source", ["absent.parquet", "empty", "*.parquet", 7, "s3x://there/rows.parquet"])
def test_a_source_that_is_not_there_is_told(tmp_path: Path, source: Any) -> None:
    (tmp_path / "empty").mkdir()
    place = str(tmp_path / source) if isinstance(source, str) and "://" not in source else source
    with pytest.raises(oh.Error) as caught:
        score(cascades.cascade(), place, tmp_path / "out")
    assert caught.value.code == "OH640"


def test_a_table_without_rows_gives_one(tmp_path: Path) -> None:
    summary = score(cascades.cascade(), written(tmp_path, rows(0)), tmp_path / "out")
    assert summary.rows == 0
    assert results(tmp_path / "out").schema.names == ["id", "label"]


def test_what_is_no_column_of_the_target_is_told(tmp_path: Path) -> None:
    source = written(tmp_path, rows(20))
    with pytest.raises(oh.Error, match="OH651"):
        score(cascades.cascade().rename({"label": "id"}), source, tmp_path / "out")
    with pytest.raises(oh.Error, match="OH649"):
        score(cascades.cascade(), source, tmp_path / "out", outputs=["lable"])
    with pytest.raises(oh.Error, match="OH649"):
        score(cascades.cascade().declare({"label": None}), source, tmp_path / "out")


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 0},
        {"workers": True},
        {"patience": -1},
        {"engine": "dask"},
        {"progress": 1},
        {"resume": "yes"},
        {"keep": "x"},
        {"columns": ["x"]},
        {"feeds": 3},
        {"key": 3},
        {"outputs": []},
    ],
)
def test_an_argument_that_has_no_such_value_is_told(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(oh.Error, match="OH650"):
        score(cascades.cascade(), written(tmp_path, rows(3)), tmp_path / "out", **options)


def test_names_of_files_are_text_whatever_they_are(tmp_path: Path) -> None:
    x = rows(40)
    x[:, 1] = 0
    source = tmp_path / "a\n[1]*'\"\u202e.parquet"
    pq.write_table(table(x), source)
    with counted() as server:
        server.fails = lambda _, __: True
        summary = score(cascades.cascade(asked=server.remote()), source, tmp_path / "out")
    assert summary.failed == 40 == sent(x)


COLUMNS = st.fixed_dictionaries(
    {
        "f": st.sampled_from(["float32", "float64", "int16", "uint8"]),
        "width": st.integers(1, 4),
        "fixed": st.booleans(),
        "text": st.lists(st.text(max_size=4), min_size=1, max_size=5),
        "rows": st.integers(0, 90),
        "group": st.integers(1, 40),
        "files": st.integers(1, 3),
        "batch": st.integers(1, 50),
        "workers": st.integers(1, 5),
        "dictionary": st.booleans(),
    }
)


@given(drawn=COLUMNS)
@settings(max_examples=40, deadline=None)
def test_however_a_table_is_cut_its_rows_are_those_of_one_run(
    tmp_path_factory: pytest.TempPathFactory, drawn: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    count, width = drawn["rows"], drawn["width"]
    random = np.random.default_rng(count)
    x = random.integers(0, 200, (count, width)).astype(drawn["f"])
    texts = np.array([drawn["text"][number % len(drawn["text"])] for number in range(count)], object)
    column = lists(x) if drawn["fixed"] else pa.array(x.tolist(), pa.list_(pa.from_numpy_dtype(x.dtype)))
    text = pa.array(texts.tolist(), pa.string())
    whole = pa.table(
        {"id": np.arange(count), "x": column, "t": text.dictionary_encode() if drawn["dictionary"] else text}
    )
    (folder / "in").mkdir()
    each = max(1, -(-count // drawn["files"]))
    for number in range(drawn["files"]):
        part = whole.slice(number * each, each)
        pq.write_table(part, folder / "in" / f"{number}.parquet", row_group_size=drawn["group"])
    model = same(("x", FLOAT, ["n", width]), ("t", TEXT, ["n"]))
    score(model, folder / "in", folder / "out", batch=drawn["batch"], workers=drawn["workers"])
    found = results(folder / "out")
    whole_x, whole_t = oh.Session(model).run(None, {"x": x.astype(np.float32), "t": texts})
    assert found["id"].to_pylist() == list(range(count))
    assert np.array_equal(np.array(found["x_out"].to_pylist(), np.float32).reshape(count, width), whole_x)
    assert found["t_out"].to_pylist() == whole_t.tolist()


def test_texts_are_sent_to_a_chat_a_row_an_answer(tmp_path: Path) -> None:
    prompts = ["ü", "", "a\nb", "\u202e"] * 5
    pq.write_table(pa.table({"id": np.arange(20), "prompt": prompts}), tmp_path / "rows.parquet")
    echo = same(("prompt", TEXT, ["n"])).rename({"prompt_out": "text"})
    with oh.endpoint.serve({"echo": echo}) as endpoint:
        model = oh.remote.openai_chat("echo", url=f"{endpoint.url}/v1", auth=None)
        summary = score(model, tmp_path / "rows.parquet", tmp_path / "out", batch=3)
    assert (summary.sent, summary.failed) == (20, 0)
    assert results(tmp_path / "out")["text"].to_pylist() == prompts


def test_vectors_of_an_open_size_are_lists(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    pq.write_table(pa.table({"id": np.arange(30), "x": lists(x)}), tmp_path / "rows.parquet")
    score(same(("x", FLOAT, ["n", "d"])), tmp_path / "rows.parquet", tmp_path / "out", batch=7)
    found = results(tmp_path / "out")
    assert found.schema.field("x_out").type == pa.list_(pa.float32())
    assert np.array_equal(np.array(found["x_out"].to_pylist(), np.float32), x)


def test_flags_of_a_call_stand_beside_each_of_its_rows(tmp_path: Path) -> None:
    x = rows(40)
    with counted() as server:
        model = cascades.cascade(asked=server.remote(on_error="flag"))
        summary = score(model, written(tmp_path, x), tmp_path / "out")
    assert summary.failed == 0
    assert set(results(tmp_path / "out")["ok"].to_pylist()) == {True}
    assert results(tmp_path / "out").schema.names == ["id", "label", "ok", "status", "error"]


@pytest.mark.parametrize("report", [False, True])
def test_a_fallback_takes_many_rows_a_call(tmp_path: Path, report: bool) -> None:
    x = rows(48)
    x[::16, 1] = 0
    with counted() as server:
        hybrid = oh.fallback(cascades.cascade(asked=server.remote()), cascades.remote(), report=report)
        score(hybrid, written(tmp_path, x), tmp_path / "out")
        assert server.requests == 3
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


def test_columns_that_are_kept_are_what_they_were_whatever_they_hold(tmp_path: Path) -> None:
    kept = pa.table(
        {
            "d": pa.array(["a", None, "b"] * 20).dictionary_encode(),
            "s": pa.array([{"a": 1, "b": [1.0, None]}, None, {"a": None, "b": []}] * 20),
            "m": pa.array([1, None, 2] * 20, pa.decimal128(9, 2)),
            "t": pa.array([1, 2, None] * 20, pa.timestamp("ns", "UTC")),
            "b": pa.array([b"\xff", None, b""] * 20, pa.large_binary()),
            "n": pa.nulls(60),
        }
    )
    whole = table(rows(60)).append_column("row_", pa.array(range(60)))
    for name in kept.column_names:
        whole = whole.append_column(name, kept[name])
    pq.write_table(whole, tmp_path / "rows.parquet", row_group_size=7)
    score(cascades.cascade(), tmp_path / "rows.parquet", tmp_path / "out", keep=kept.column_names)
    found = results(tmp_path / "out")
    source = pq.read_table(tmp_path / "rows.parquet")
    for name in kept.column_names:
        assert found[name].equals(source[name]), name
        assert found.schema.field(name).type == source.schema.field(name).type


def test_a_pipe_is_no_source_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(oh.Error, match=r"OH640.*no regular file"):
        score(same(("f", FLOAT, ["n"])), tmp_path / "rows.csv", tmp_path / "out")
