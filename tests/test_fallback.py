"""`fallback`: a remote failure anywhere in the primary becomes the backup's answer; nothing runs on empty tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.compose.fallback.guard import guarded
from tests.begun import await_, begin, floats, graph
from tests.remotes import X, adder, in_turn, reply
from tests.servers.raw import Behaviour, answer, raw_server, send_and_close
from tests.servers.triton import TritonServer
from tests.strategies import Array, dense, local_models, of_graph, rows, run

GOOD = answer(reply())
BAD = answer(b'{"error": "no"}', status="500 No")
ANSWER = np.array([[1, 2], [3, 4]], np.float32)
BACKUP = dense("backup", "x", "y", (3, 2), seed=9)
BACKED = run(BACKUP, {"x": X})["y"]


@pytest.fixture(scope="module")
def good() -> Iterator[str]:
    with raw_server(GOOD) as server:
        yield server.url


@pytest.fixture(scope="module")
def bad() -> Iterator[str]:
    with raw_server(BAD) as server:
        yield server.url


def results(model: oh.Model, **more: Array) -> dict[str, Array]:
    values = oh.Session(model).run(None, {"x": X, **more})
    return dict(zip([output.name for output in model.outputs], values, strict=True))


def infos(*specs: tuple[str, str, Any]) -> list[Any]:
    return [oh.TensorSpec(*spec).to_value_info() for spec in specs]


def fragile(source: str, target: str) -> oh.Model:
    """Takes the second row of (n, 2): fails where there is none."""
    nodes = [helper.make_node("Gather", [source, "one"], ["row"]), helper.make_node("Add", [source, "row"], [target])]
    one = numpy_helper.from_array(np.array([1]), "one")
    values = infos((source, "float32", ("n", 2)), (target, "float32", ("n", 2)))
    return of_graph(helper.make_graph(nodes, "fragile", values[:1], values[1:], [one]))


def _added(value: Array) -> Array:
    added: Array = np.add(value, value[1])
    return added


def nested(url: str) -> oh.Model:
    return oh.switch("c", oh.chain(adder(url), fragile("y", "z")), oh.chain(BACKUP, fragile("y", "z")))


def begun(url: str) -> oh.Model:
    """The remote model in two nodes, as an overlap pass writes it."""
    nodes = [begin(adder(url), "ticket", ["x"]), await_(["ticket"], ["y"])]
    return graph(nodes, [floats("x", "n", 3)], [floats("y", "n", 2)])


PRIMARIES: dict[str, tuple[Callable[[str], oh.Model], Array]] = {
    "alone": (adder, ANSWER),
    "before local work": (
        lambda url: oh.chain(adder(url), fragile("y", "z")).rename({"z": "y", "y": "v"}),
        _added(ANSWER),
    ),
    "in a branch": (lambda url: nested(url).rename({"z": "y"}), _added(ANSWER)),
    "in a cascade": (lambda url: oh.cascade(BACKUP, adder(url), accept=oh.judge.logit_max("y") >= 1e9), ANSWER),
    "in a route": (lambda url: oh.route("i", [BACKUP, adder(url)]), ANSWER),
    "beside others": (lambda url: oh.ensemble([adder(url), adder(url)]), ANSWER),
    "with flags": (lambda url: adder(url, on_error="flag"), ANSWER),
    "with flags in a branch": (
        lambda url: oh.switch("c", adder(url, on_error="flag"), adder(url, on_error="flag")),
        ANSWER,
    ),
    "in a fallback": (lambda url: oh.fallback(adder(url), adder(url)), ANSWER),
    "begun early": (begun, ANSWER),
}
MORE = {"c": np.array(True), "i": np.array(1)}


@pytest.mark.parametrize("where", sorted(PRIMARIES))
def test_a_remote_failure_anywhere_in_the_primary_becomes_the_backups_answer(where: str, good: str, bad: str) -> None:
    make, expected = PRIMARIES[where]
    for url, answered in ((good, expected), (bad, BACKED)):
        composed = oh.fallback(make(url), BACKUP, report=True)
        assert [value.name for value in composed.outputs] == ["y", "fallback_used"]
        ours = results(composed, **{n: v for n, v in MORE.items() if n in {s.name for s in composed.inputs}})
        np.testing.assert_allclose(ours["y"], answered)
        assert ours["fallback_used"].shape == ()
        assert bool(ours["fallback_used"]) == (url == bad)


FAULTS: dict[str, Behaviour] = {
    "status": BAD,
    "no JSON": answer(b"<html>", kind="text/html"),
    "another type": answer(reply(datatype="INT64", data=[1, 2, 3, 4])),
    "another shape": answer(reply(shape=[4, 1])),
    "cut short": send_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
    "nothing": send_and_close(b""),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_whatever_fails_the_backup_answers(fault: str) -> None:
    with raw_server(FAULTS[fault]) as server:
        ours = results(oh.fallback(oh.chain(adder(server.url), fragile("y", "z")), BACKUP.rename({"y": "z"})))
    np.testing.assert_array_equal(ours["z"], BACKED)


def test_the_backup_runs_only_where_the_primary_failed(good: str, bad: str) -> None:
    with raw_server(GOOD) as spare:
        results(oh.fallback(adder(good), adder(spare.url)))
        assert not spare.requests
        np.testing.assert_array_equal(results(oh.fallback(adder(bad), adder(spare.url)))["y"], ANSWER)
        assert len(spare.requests) == 1


def test_a_failure_of_the_backup_is_an_error(bad: str) -> None:
    with pytest.raises(oh.RemoteStatusError, match="backup"):
        results(oh.fallback(adder(bad), adder(bad)))


def test_fallbacks_in_a_row_ask_one_after_the_other(good: str, bad: str) -> None:
    composed = oh.fallback(oh.fallback(adder(bad), adder(bad)), oh.fallback(adder(bad), adder(good)), report=True)
    ours = results(composed)
    np.testing.assert_array_equal(ours["y"], ANSWER)
    assert bool(ours["fallback_used"])


def test_an_inner_fallback_that_helped_is_no_failure_of_the_outer(good: str, bad: str) -> None:
    ours = results(oh.fallback(oh.fallback(adder(bad), adder(good)), BACKUP, report=True))
    assert not ours["fallback_used"]
    np.testing.assert_array_equal(ours["y"], ANSWER)


def test_what_waits_for_a_failed_call_is_not_sent(bad: str) -> None:
    widened = of_graph(
        helper.make_graph(
            [
                helper.make_node("Concat", ["y", "y"], ["w"], axis=1),
                helper.make_node("Slice", ["w", "a", "b", "c"], ["x2"]),
            ],
            "widened",
            infos(("y", "float32", ("n", 2))),
            infos(("x2", "float32", ("n", 3))),
            [numpy_helper.from_array(np.array([value]), name) for name, value in (("a", 0), ("b", 3), ("c", 1))],
        )
    )
    with raw_server(GOOD) as second:
        later = adder(second.url).rename({"x": "x2", "y": "late"})
        ours = results(oh.fallback(oh.chain(adder(bad), widened, later), BACKUP.rename({"y": "late"})))
        np.testing.assert_array_equal(ours["late"], BACKED)
        assert not second.requests


def test_flags_that_both_offer_stay(good: str, bad: str) -> None:
    ours = results(oh.fallback(adder(bad, on_error="flag"), adder(good, on_error="flag"), report=True))
    assert (bool(ours["ok"]), int(ours["status"]), bool(ours["fallback_used"])) == (True, 200, True)
    ours = results(oh.fallback(adder(bad, on_error="flag"), adder(bad, on_error="flag")))
    assert (bool(ours["ok"]), int(ours["status"])) == (False, 500)


def test_a_failure_that_its_author_handles_is_left_to_him(bad: str) -> None:
    said = of_graph(
        helper.make_graph(
            [helper.make_node("Not", ["ok"], ["failed"])],
            "said",
            infos(("ok", "bool", ())),
            infos(("failed", "bool", ())),
        )
    )
    handled = oh.chain(adder(bad, on_error="flag"), said).select(["failed"])
    constant = dense("c", "x", "f", (3, 1))
    other = oh.chain(constant, oh.judge.value("f") >= 1e9).select(["accepted"]).rename({"accepted": "failed"})
    ours = results(oh.fallback(handled, other, report=True))
    assert (bool(ours["failed"]), bool(ours["fallback_used"])) == (True, False)


def looped(url: str) -> oh.Model:
    """Calls m times: last (n, 2) is what the last call gave, all (m, n, 2) what all gave."""
    invoke = NodeProto()
    invoke.CopyFrom(adder(url).skeleton.graph.node[0])
    invoke.input[0] = "acc"
    numbers = ("zero", 0), ("two", 2), ("three", 3), ("axis", 1)
    constants = [numpy_helper.from_array(np.array([value]), name) for name, value in numbers]
    body = helper.make_graph(
        [
            invoke,
            helper.make_node("Concat", ["y", "y"], ["wide"], axis=1),
            helper.make_node("Slice", ["wide", "zero", "three", "axis"], ["next"]),
            helper.make_node("Identity", ["going"], ["still"]),
        ],
        "body",
        infos(("number", "int64", ()), ("going", "bool", ()), ("acc", "float32", ("n", 3))),
        infos(("still", "bool", ()), ("next", "float32", ("n", 3)), ("y", "float32", ("n", 2))),
    )
    nodes = [
        helper.make_node("Loop", ["m", "", "x"], ["final", "all"], name="loop", body=body),
        helper.make_node("Slice", ["final", "zero", "two", "axis"], ["last"]),
    ]
    graph = helper.make_graph(
        nodes,
        "looped",
        infos(("m", "int64", ()), ("x", "float32", ("n", 3))),
        infos(("last", "float32", ("n", 2)), ("all", "float32", (None, "n", 2))),
        constants,
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=imports, ir_version=8))


def _for_the_loop() -> oh.Model:
    stacked = of_graph(
        helper.make_graph(
            [helper.make_node("Identity", ["y"], ["last"]), helper.make_node("Unsqueeze", ["y", "zero"], ["all"])],
            "stacked",
            infos(("y", "float32", ("n", 2))),
            infos(("last", "float32", ("n", 2)), ("all", "float32", (None, "n", 2))),
            [numpy_helper.from_array(np.array([0]), "zero")],
        )
    )
    return oh.chain(BACKUP, stacked)


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("failing", [None, 1, 2, 3])
def test_a_loop_ends_where_one_of_its_calls_fails(count: int, failing: int | None) -> None:
    behaviours = [BAD if number == failing else GOOD for number in range(1, 5)]
    with raw_server(in_turn(itertools.chain(behaviours, itertools.repeat(GOOD)))) as server:
        ours = results(oh.fallback(looped(server.url), _for_the_loop(), report=True), m=np.array(count))
        # After a failure the server is asked once which form of tensors it takes.
        asked = sum(request.startswith(b"POST") for request in server.requests)
    failed = failing is not None and failing <= count
    assert bool(ours["fallback_used"]) == failed
    assert asked == (failing if failed else count)
    if failed:
        np.testing.assert_array_equal(ours["all"], BACKED[None])
    else:
        np.testing.assert_array_equal(ours["all"].reshape(-1, 2, 2), np.array([ANSWER] * count).reshape(-1, 2, 2))
        np.testing.assert_array_equal(ours["last"], ANSWER if count else X[:, :2])


def _inside(operator: str, url: str) -> oh.Model:
    """A primary that calls out in the body of a Scan, or in a function."""
    invoke = adder(url).skeleton.graph.node[0]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
    x, y = infos(("x", "float32", ("n", 3)), ("y", "float32", ("n", 2)))
    if operator == "Scan":
        values = infos(("x", "float32", (3,)), ("y", "float32", (2,)))
        body = helper.make_graph([invoke], "body", values[:1], values[1:])
        node = helper.make_node("Scan", ["x"], ["all"], name="scan", num_scan_inputs=1, body=body)
        (y,) = infos(("all", "float32", ("n", 2)))
        return oh.Model.from_proto(
            helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=imports, ir_version=8)
        )
    function = helper.make_function("local", "Ask", ["x"], ["y"], [invoke], imports, value_info=[y])
    asked = helper.make_node("Ask", ["x"], ["y"], domain="local")
    graph = helper.make_graph([asked], "g", [x], [y])
    return oh.Model.from_proto(
        helper.make_model(
            graph, opset_imports=[*imports, helper.make_opsetid("local", 1)], functions=[function], ir_version=10
        )
    )


def test_a_call_in_a_function_is_guarded(good: str, bad: str) -> None:
    for url, expected in ((good, ANSWER), (bad, BACKED)):
        np.testing.assert_array_equal(results(oh.fallback(_inside("function", url), BACKUP))["y"], expected)


def calls(count: int) -> oh.Model:
    """So many calls of a server that is not there, one after the other."""

    def call(number: int) -> oh.Model:
        x, y = (oh.TensorSpec(f"x{number + step}", "float32", ("n", 3)) for step in (0, 1))
        return oh.remote.triton("http://127.0.0.1:9", "m", inputs=[x], outputs=[y], retries=0)

    return oh.chain(*map(call, range(count)))


def test_calls_that_wait_for_each_other_are_guarded_as_deep_as_a_file_can_be(tmp_path: Path) -> None:
    backup = dense("backup", "x0", "x16", (3, 3))
    oh.fallback(calls(16), backup).save(tmp_path / "deep.onnx")
    (answered,) = oh.Session(tmp_path / "deep.onnx").run(None, {"x0": X})
    np.testing.assert_array_equal(answered, run(backup, {"x0": X})["x16"])
    with pytest.raises(oh.ComposeError, match=r"OH214.*remote calls wait"):
        oh.fallback(calls(18), backup.rename({"x16": "x18"}))


def test_a_call_in_a_scan_is_refused(good: str) -> None:
    with pytest.raises(oh.ComposeError, match=r"OH214.*Scan"):
        oh.fallback(_inside("Scan", good), BACKUP.rename({"y": "all"}))


@settings(max_examples=25)
@given(local_models(outputs=("y", "u")), local_models(inputs=("x", "z"), outputs=("u", "y")))
def test_a_primary_that_calls_nothing_is_the_answer(a: oh.Model, b: oh.Model) -> None:
    feeds = {"x": rows(4, 3, 1), "z": rows(4, 3, 2)}
    composed = oh.fallback(a, b, report=True)
    ours = run(composed, feeds)
    for name, value in run(a, feeds).items():
        np.testing.assert_array_equal(ours[name], value)
    assert not ours["fallback_used"]


def test_fallback_changes_no_argument_and_gives_the_same_bytes_twice(good: str) -> None:
    for make, _ in PRIMARIES.values():
        primary = make(good)
        before = primary.to_proto(), BACKUP.to_proto()
        once, twice = (oh.fallback(primary, BACKUP).to_proto().SerializeToString() for _ in range(2))
        assert once == twice
        assert (primary.to_proto(), BACKUP.to_proto()) == before


def test_calls_that_do_not_wait_for_each_other_stay_side_by_side(good: str) -> None:
    graph = guarded(oh.parallel(a=adder(good), b=adder(good))).model.skeleton.graph
    assert [node.op_type for node in graph.node].count("Begin") == 2


def test_outputs_of_a_flagged_call_can_be_left_out(good: str) -> None:
    selected = adder(good, on_error="flag").select(["y"])
    np.testing.assert_array_equal(results(selected)["y"], ANSWER)


@pytest.mark.parametrize(
    ("code", "compose"),
    [
        ("OH205", lambda: oh.fallback(BACKUP, "b.onnx")),  # type: ignore[arg-type]
        ("OH205", lambda: oh.fallback([BACKUP], BACKUP)),  # type: ignore[arg-type]
        ("OH206", lambda: oh.fallback(BACKUP, BACKUP.rename({"y": "z"}))),
        ("OH206", lambda: oh.fallback(BACKUP, oh.chain(BACKUP, oh.judge.value("y") >= 0).rename({"accepted": "y"}))),
        ("OH202", lambda: oh.fallback(BACKUP, dense("b", "x", "y", (4, 2)))),
        ("OH210", lambda: oh.fallback(*[BACKUP.rename({"y": "fallback_used"})] * 2, report=True)),
        ("OH210", lambda: oh.fallback(BACKUP.rename({"x": "fallback_used"}), BACKUP, report=True)),
        ("OH215", lambda: oh.fallback(BACKUP, BACKUP, report="yes")),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_fallback_is_a_coded_error(code: str, compose: Callable[[], object]) -> None:
    with pytest.raises(oh.ComposeError) as caught:
        compose()
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wire", ["http_url", "grpc_url"])
def test_a_failure_of_the_real_server_becomes_the_backups_answer(triton: TritonServer, wire: str) -> None:
    primary = oh.remote.triton(getattr(triton, wire), "failing", retries=0)
    never = numpy_helper.from_array(np.array([4, 2], np.float32), "constant")
    values = infos(("MESSAGE", "str", (1,)), ("NEVER", "float32", (None,)))
    spare = of_graph(helper.make_graph([], "spare", values[:1], [], [never])).to_proto()
    spare.graph.node.append(helper.make_node("Identity", ["constant"], ["NEVER"]))
    spare.graph.output.append(values[1])
    composed = oh.fallback(primary, oh.Model.from_proto(spare), report=True)
    answered, used = oh.Session(composed).run(None, {"MESSAGE": np.array(["hello"], object)})
    assert (answered.tolist(), bool(used)) == ([4, 2], True)


@given(st.booleans(), st.booleans())
@settings(max_examples=4)
def test_fallbacks_nest_in_everything(one: bool, two: bool) -> None:
    nobody = adder("http://127.0.0.1:9", retries=0)
    inner = oh.fallback(oh.switch("one", nobody, BACKUP), dense("b", "x", "y", (3, 2), seed=4))
    outer = oh.ensemble([oh.fallback(oh.route("two", [inner, nobody]), BACKUP), BACKUP], "max")
    ours = results(outer, one=np.array(one), two=np.array(int(two)))
    by_hand = run(dense("b", "x", "y", (3, 2), seed=4), {"x": X})["y"] if one and not two else BACKED
    np.testing.assert_array_equal(ours["y"], np.maximum(by_hand, BACKED))


def _text_sequence(source: str | None) -> oh.Model:
    """texts, a sequence: of what is read, or of a constant."""
    made = helper.make_node("Constant", [], ["text"], value_strings=["spare"])
    nodes = [*([] if source else [made]), helper.make_node("SequenceConstruct", [source or "text"], ["texts"])]
    output = helper.make_tensor_sequence_value_info("texts", TensorProto.STRING, None)
    inputs = infos((source, "str", ("n",))) if source else infos(("x", "float32", ("n", 3)))
    return of_graph(helper.make_graph(nodes, "texts", inputs, [output]))


def test_a_sequence_may_depend_on_a_call_that_fails() -> None:
    text = oh.remote.triton(
        "http://127.0.0.1:9",
        "says",
        inputs=[oh.TensorSpec("x", "float32", ("n", 3))],
        outputs=[oh.TensorSpec("said", "str", ("n",))],
        retries=0,
    )
    (texts,) = results(oh.fallback(oh.chain(text, _text_sequence("said")), _text_sequence(None))).values()
    assert [list(entry) for entry in texts] == [["spare"]]


def test_outputs_of_fixed_shapes_and_outputs_that_no_call_touches_are_the_backups_too(bad: str) -> None:
    fixed = oh.remote.triton(
        bad,
        "fixed",
        inputs=[oh.TensorSpec("x", "float32", (2, 3))],
        outputs=[oh.TensorSpec("y", "float32", (2, 2)), oh.TensorSpec("scalar", "float32", ())],
        retries=0,
    )
    after = ("Relu", ["y"], ["z"]), ("Neg", ["scalar"], ["u"]), ("Abs", ["x"], ["w"])
    nodes = [helper.make_node(*node) for node in after]
    values = infos(
        *(("y", "float32", (2, 2)), ("scalar", "float32", ()), ("x", "float32", (2, 3))),
        *(("z", "float32", (2, 2)), ("u", "float32", ()), ("w", "float32", (2, 3))),
    )
    primary = oh.chain(fixed, of_graph(helper.make_graph(nodes, "after", values[:3], values[3:])))
    nodes = [
        helper.make_node("MatMul", ["x", "half"], ["z"]),
        helper.make_node("ReduceSum", ["x"], ["u"], keepdims=0),
        helper.make_node("Neg", ["x"], ["w"]),
    ]
    half = numpy_helper.from_array(np.full((3, 2), 0.5, np.float32), "half")
    backup = of_graph(helper.make_graph(nodes, "backup", values[2:3], values[3:], [half]))
    for name, value in run(backup, {"x": X}).items():
        np.testing.assert_array_equal(results(oh.fallback(primary, backup))[name], value)


def test_calls_in_a_row_deep_inside_of_branches_are_a_coded_error_that_says_what_to_do() -> None:
    backup = dense("backup", "x0", "x14", (3, 3))
    deep = calls(14)
    for number in range(22):
        deep = oh.switch(f"c{number}", then=deep, else_=backup)
    with pytest.raises(oh.ComposeError, match=r"OH245.*fallback around each half"):
        oh.fallback(deep, backup)
