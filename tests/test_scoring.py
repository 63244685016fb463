"""`oh.score`: each row once, in files of Parquet, whatever fails or dies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import onnxhybrid as oh
from tests import cascades
from tests.scoring import failed, labels, results, rows, score, sent, table, written
from tests.servers.counted import Row, counted


def test_rows_equal_those_of_one_run(tmp_path: Path) -> None:
    x = rows(1000)
    with counted() as server:
        model = cascades.cascade(asked=server.remote())
        summary = score(model, written(tmp_path, x), tmp_path / "out")
        (whole,) = oh.Session(model).run(None, {"x": x})
    found = results(tmp_path / "out")
    assert found["id"].to_pylist() == list(range(1000))
    assert found["label"].to_pylist() == whole.tolist() == labels(x)
    assert (summary.rows, summary.failed, summary.sent) == (1000, 0, sent(x))


def test_a_finished_target_is_not_asked_for_again(tmp_path: Path) -> None:
    x = rows(100)
    with counted() as server:
        model, source = cascades.cascade(asked=server.remote()), written(tmp_path, x)
        first = score(model, source, tmp_path / "out")
        asked = server.requests
        again = score(model, source, tmp_path / "out")
        assert server.requests == asked
    assert (again.rows, again.sent) == (first.rows, first.sent)


def test_a_failing_row_fails_none_of_its_neighbours_and_is_asked_again(tmp_path: Path) -> None:
    x = rows(200)
    bad = {tuple(row) for row in x[[3, 4, 77, 150]].tolist()}
    x[[3, 4, 77, 150], 1] = 0  # they are sent
    bad = {tuple(row) for row in x[[3, 4, 77, 150]].tolist()}
    with counted() as server:
        model, source = cascades.cascade(asked=server.remote()), written(tmp_path, x)
        server.fails = lambda _, asked: not bad.isdisjoint(asked)
        summary = score(model, source, tmp_path / "out")
        assert (summary.rows, summary.failed) == (200, 4)
        assert [row["key"] for row in failed(tmp_path / "out")] == [3, 4, 77, 150]
        assert {row["code"] for row in failed(tmp_path / "out")} == {"OH503"}
        assert len(results(tmp_path / "out")) == 196
        server.fails, server.requests = lambda _, __: False, 0
        server.asked.clear()
        summary = score(model, source, tmp_path / "out")
        assert set(server.asked) == bad
    assert (summary.rows, summary.failed) == (200, 0)
    assert failed(tmp_path / "out") == []
    assert results(tmp_path / "out")["id"].to_pylist() == list(range(200))
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


def test_rows_that_are_asked_again_take_their_place_with_what_was_kept(tmp_path: Path) -> None:
    x = rows(120)
    x[[7, 60, 119], 1] = 0
    bad = {tuple(row) for row in x[[7, 60, 119]].tolist()}
    names = [None if number % 7 == 0 else f"name {number}" for number in range(120)]
    whole = table(x).append_column("name", pa.array(names).dictionary_encode())
    pq.write_table(whole, tmp_path / "rows.parquet", row_group_size=50)
    with counted() as server:
        model = cascades.cascade(asked=server.remote())
        server.fails = lambda _, asked: not bad.isdisjoint(asked)
        assert score(model, tmp_path / "rows.parquet", tmp_path / "out", keep=["name"]).failed == 3
        server.fails = lambda _, __: False
        assert score(model, tmp_path / "rows.parquet", tmp_path / "out", keep=["name"]).failed == 0
    found = results(tmp_path / "out")
    assert found["id"].to_pylist() == list(range(120))
    assert found["name"].to_pylist() == names
    assert found["label"].to_pylist() == labels(x)


def test_a_slice_that_fails_takes_no_more_calls_than_is_documented(tmp_path: Path) -> None:
    x = rows(16)
    x[:, 1] = 0
    with counted() as server:
        server.fails = lambda _, __: True
        summary = score(cascades.cascade(asked=server.remote()), written(tmp_path, x), tmp_path / "out")
        assert server.requests == 2 * 16 - 1  # a call, and as many as a tree of halves has branches
    assert summary.failed == 16


def test_the_summary_is_a_file_and_a_sentence(tmp_path: Path) -> None:
    x = rows(50)
    with counted() as server:
        summary = score(cascades.cascade(asked=server.remote()), written(tmp_path, x), tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "_summary.json").read_text("utf-8"))
    assert kept == json.loads(summary.to_json())
    assert f"50 rows in {summary.seconds:.1f} s: 0 failed, {sent(x)} sent" in str(summary)


def test_what_calls_cost_is_summed_over_runs(tmp_path: Path) -> None:
    x = rows(64)
    policy = oh.Policy(budget={"cost": 100.0, "price": {"remote": 0.5}})
    with counted() as server:
        server.fails = lambda number, _: number == 1
        model, source = cascades.cascade(asked=server.remote()), written(tmp_path, x)
        score(model, source, tmp_path / "out", policy=policy, workers=1)
        summary = score(model, source, tmp_path / "out", policy=policy)
        assert summary.spend == pytest.approx(0.5 * server.requests)


def test_a_budget_that_is_used_up_stops_all_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    x = rows(400)
    x[:, 1] = 0
    with counted() as server:
        model = cascades.cascade(asked=server.remote())
        source = written(tmp_path, x)
        with pytest.raises(oh.PolicyDenied) as caught:
            score(model, source, tmp_path / "out", policy=oh.Policy(budget={"calls": 5}))
        assert caught.value.code == "OH521"
        assert "goes on" in " ".join(caught.value.__notes__)
        assert json.loads((tmp_path / "out" / "_summary.json").read_text("utf-8"))["left"] == 400
        summary = score(model, source, tmp_path / "out", policy=oh.Policy(budget={"calls": 1000}))
    assert (summary.rows, summary.failed, summary.left) == (400, 0, 0)


def test_a_remote_that_is_away_is_waited_for(tmp_path: Path) -> None:
    x = rows(100)
    with counted() as server:
        server.fails = lambda number, _: number <= 12
        server.failure = "503 Away"
        model = cascades.cascade(asked=server.remote())
        summary = score(model, written(tmp_path, x), tmp_path / "out", patience=30)
    assert (summary.rows, summary.failed) == (100, 0)


def test_a_remote_that_is_gone_fails_rows_when_patience_is_over(tmp_path: Path) -> None:
    x = rows(100)
    with counted() as server:
        model = cascades.cascade(asked=server.remote(connect_timeout=1.0))
    summary = score(model, written(tmp_path, x), tmp_path / "out", patience=0.2)
    assert summary.rows == 100
    assert {row["code"] for row in failed(tmp_path / "out")} == {"OH501"}
    assert len(results(tmp_path / "out")) == 100 - summary.failed


def test_a_model_that_takes_one_row_is_called_for_each(tmp_path: Path) -> None:
    x = rows(40)
    with counted() as server:
        one = cascades.cascade(asked=server.remote(), rows=False)
        summary = score(one, written(tmp_path, x), tmp_path / "out")
        assert server.requests == sent(x) == summary.sent
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


def test_without_a_key_rows_are_numbered_over_all_files(tmp_path: Path) -> None:
    x = rows(90)
    for number in range(3):
        written(tmp_path / "rows", x[number * 30 : number * 30 + 30]).rename(tmp_path / "rows" / f"{number}.parquet")
    score(cascades.cascade(), tmp_path / "rows", tmp_path / "out", key=None)
    found = results(tmp_path / "out")
    assert found["row"].to_pylist() == list(range(90))
    assert found["label"].to_pylist() == labels(x)


def test_a_threshold_is_the_same_for_all_rows(tmp_path: Path) -> None:
    x = rows(60)
    score(cascades.cascade(), written(tmp_path, x), tmp_path / "out", feeds={"threshold": 0.25})
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x, 0.25)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"batch": 8}, "another batch"),
        ({"feeds": {"threshold": 0.9}}, "other values of feeds"),
        ({"key": None}, "other columns"),
        ({"keep": ["x"]}, "other columns"),
        ({"model": cascades.cascade(oh.judge.value("score") >= oh.Input("threshold", default=0.9))}, "another model"),
    ],
)
def test_a_target_of_something_else_is_refused(tmp_path: Path, change: dict[str, object], told: str) -> None:
    source = written(tmp_path, rows(20))
    score(cascades.cascade(), source, tmp_path / "out")
    model = change.pop("model", cascades.cascade())
    assert isinstance(model, oh.Model)
    with pytest.raises(oh.Error, match=told) as caught:
        score(model, source, tmp_path / "out", **change)
    assert caught.value.code == "OH646"


def test_a_source_that_was_changed_is_another(tmp_path: Path) -> None:
    source = written(tmp_path, rows(20))
    score(cascades.cascade(), source, tmp_path / "out")
    written(tmp_path, rows(21))
    with pytest.raises(oh.Error, match="OH646"):
        score(cascades.cascade(), source, tmp_path / "out")


def test_a_token_may_be_another_when_it_goes_on(tmp_path: Path) -> None:
    x = rows(30)
    with counted() as server:
        model = cascades.cascade(asked=server.remote(auth=oh.Input("token")))
        source = written(tmp_path, x)
        policy = oh.Policy(allow=[server.url])
        score(model, source, tmp_path / "out", feeds={"token": ["one-0123456789"]}, policy=policy)
        score(model, source, tmp_path / "out", feeds={"token": ["two-0123456789"]}, policy=policy)
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"0123456789" not in path.read_bytes()


def test_without_resume_no_results_may_be_there(tmp_path: Path) -> None:
    source = written(tmp_path, rows(20))
    score(cascades.cascade(), source, tmp_path / "out", resume=False)
    with pytest.raises(oh.Error, match="OH646"):
        score(cascades.cascade(), source, tmp_path / "out", resume=False)


def test_files_of_others_are_not_taken_for_results(tmp_path: Path) -> None:
    source = written(tmp_path, rows(20))
    (tmp_path / "out").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "out" / "other.parquet")
    with pytest.raises(oh.Error, match="OH645"):
        score(cascades.cascade(), source, tmp_path / "out")


def test_pieces_keep_the_order_of_rows_and_are_whole(tmp_path: Path) -> None:
    x = rows(70_000)
    score(cascades.cascade(), written(tmp_path, x, group=50_000), tmp_path / "out", batch=500)
    parts = sorted((tmp_path / "out").glob("*.parquet"))
    ids = [pq.read_table(part)["id"].to_numpy() for part in parts]
    assert len(parts) > 1
    assert np.array_equal(np.concatenate(ids), np.arange(70_000))
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


def test_progress_is_told_to_a_function(tmp_path: Path) -> None:
    states: list[object] = []
    score(cascades.cascade(), written(tmp_path, rows(500)), tmp_path / "out", progress=states.append)
    assert str(states[-1]).startswith("500 of 500 rows")


def test_a_record_is_not_asked_twice(tmp_path: Path) -> None:
    x = rows(300)
    x[:, 1] = 0
    seen: list[Row] = []
    with counted() as server:
        model, source = cascades.cascade(asked=server.remote()), written(tmp_path, x)
        options = {"record": tmp_path / "calls", "workers": 1}
        with pytest.raises(oh.PolicyDenied):
            score(model, source, tmp_path / "out", policy=oh.Policy(budget={"calls": 7}), **options)
        seen = list(server.asked)
        for path in (tmp_path / "calls").iterdir():  # what a process was writing when it died
            path.write_bytes(path.read_bytes() + b'{"half')
        summary = score(model, source, tmp_path / "out", **options)
        assert max(server.asked.values()) == 1
        assert len(seen) == 7 * 16
    assert (summary.rows, summary.failed) == (300, 0)
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


def test_a_remote_that_limits_its_rate_is_waited_for_while_it_answers_others(tmp_path: Path) -> None:
    x = rows(400)
    with counted() as server:
        server.fails = lambda number, _: number % 2 != 0
        server.failure = "429 Slowly"
        model = cascades.cascade(asked=server.remote())
        summary = score(model, written(tmp_path, x), tmp_path / "out", patience=60, workers=8)
    assert (summary.rows, summary.failed) == (400, 0)


def test_rows_that_stay_home_do_not_shorten_the_patience_for_others(tmp_path: Path) -> None:
    x = rows(3200)
    x[:, 1] = 1
    x[:16, 1] = 0  # the first slice alone is sent
    with counted() as server:
        server.fails = lambda number, _: number <= 4
        server.failure = "503 Away"
        model = cascades.cascade(asked=server.remote())
        summary = score(model, written(tmp_path, x), tmp_path / "out", patience=30, workers=4)
        assert server.requests == 5
    assert (summary.rows, summary.failed, summary.sent) == (3200, 0, 16)


def test_a_row_that_is_never_answered_fails_alone(tmp_path: Path) -> None:
    x = rows(64)
    x[:, 1] = 0
    bad = tuple(x[20].tolist())
    with counted() as server:
        server.fails = lambda _, asked: bad in asked
        server.failure = "504 Late"
        model = cascades.cascade(asked=server.remote())
        summary = score(model, written(tmp_path, x), tmp_path / "out", patience=5, workers=4, batch=4)
    assert (summary.rows, summary.failed) == (64, 1)
    assert [row["key"] for row in failed(tmp_path / "out")] == [20]


def test_a_row_that_is_never_answered_fails_alone_also_where_nobody_else_asks(tmp_path: Path) -> None:
    x = rows(8)
    x[:, 1] = 0
    bad = tuple(x[5].tolist())
    with counted() as server:
        server.fails, server.failure = lambda _, asked: bad in asked, "504 Late"
        model = cascades.cascade(asked=server.remote())
        summary = score(model, written(tmp_path, x), tmp_path / "out", patience=1, workers=1, batch=8)
    assert (summary.rows, summary.failed) == (8, 1)
    assert [row["key"] for row in failed(tmp_path / "out")] == [5]


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No"])
def test_what_no_row_gets_past_ends_it_at_the_first_call(tmp_path: Path, status: str) -> None:
    x = rows(100_000)  # several pieces, of which another one waits to be read
    x[:, 1] = 0
    with counted() as server:
        server.fails, server.failure = lambda _, __: True, status
        model = cascades.cascade(asked=server.remote())
        with pytest.raises(oh.RemoteStatusError):
            score(model, written(tmp_path, x), tmp_path / "out", patience=60, workers=2)
        assert server.requests <= 2


def test_rows_that_stay_home_are_scored_where_the_remote_is_gone(tmp_path: Path) -> None:
    x = rows(300)
    with counted() as server:
        model = cascades.cascade(asked=server.remote(connect_timeout=1.0))
    source = written(tmp_path, x)
    summary = score(model, source, tmp_path / "out")
    assert (summary.rows, summary.failed) == (300, sent(x))
    home = np.flatnonzero(x[:, 1] >= 0.5)
    assert results(tmp_path / "out")["id"].to_pylist() == home.tolist()
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x[home])
    assert [row["row"] for row in failed(tmp_path / "out")] == np.flatnonzero(x[:, 1] < 0.5).tolist()
