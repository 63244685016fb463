"""Cascades that send the refused rows only, and reports: what comes out is what the parts give by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.model.dtypes import numpy_dtype
from tests.remotes import adder, in_turn, reply
from tests.servers.raw import raw_server
from tests.strategies import Array, dense, of_graph, rows, run

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
TYPES = ["float32", "float16", "bfloat16", "float64", "bool", "str", *INTEGERS]
SIZES = ("n", 3)


def spec(name: str, dtype: str = "float32", shape: Sequence[Any] | None = SIZES) -> onnx.ValueInfoProto:
    return oh.TensorSpec(name, dtype, shape).to_value_info()


def passing(*pairs: tuple[onnx.ValueInfoProto, onnx.ValueInfoProto], name: str = "g", opset: int = 17) -> oh.Model:
    """A model that gives each input as an output, in the declared shapes."""
    nodes = [helper.make_node("Identity", [source.name], [target.name]) for source, target in pairs]
    return of_graph(helper.make_graph(nodes, name, [s for s, _ in pairs], [t for _, t in pairs]), opset=opset)


KEEP = spec("keep", "bool", ["n"]), spec("kept", "bool", ["n"])
JUDGE = passing((KEEP[1], spec("verdict", "bool", ["n"])), name="judge")


def some(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    numbers = np.random.default_rng(seed).integers(0, 100, shape)
    return numbers.astype(str).astype(object) if dtype == "str" else numbers.astype(numpy_dtype(dtype))


def pair(dtype: str, shape: Sequence[Any] = SIZES, **options: Any) -> oh.Model:
    """A cascade of rows: x where `keep` says so, and z from the remote where it does not."""
    local = passing((spec("x", dtype, shape), spec("y", dtype, shape)), KEEP, name="local")
    remote = passing((spec("z", dtype, shape), spec("y", dtype, shape)), name="remote")
    return oh.cascade(local, remote, accept=JUDGE, rows=True, **options)


def outputs(model: oh.Model, feeds: Mapping[str, Any]) -> dict[str, Array]:
    return dict(zip([value.name for value in model.outputs], oh.Session(model).run(None, feeds), strict=True))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("keep", [[], [0], [1], [1, 0, 0, 1], [0, 0, 0], [1, 1]])
def test_rows_of_any_type_go_back_where_they_came_from(dtype: str, keep: list[int]) -> None:
    kept = np.array(keep, bool)
    for tail in ((), (3,), (2, 0), (2, 1, 2)):
        x, z = (some(dtype, (len(keep), *tail), seed) for seed in (1, 2))
        composed = pair(dtype, ("n", *tail))
        ours = outputs(composed, {"x": x, "z": z, "keep": kept})
        assert ours["y"].dtype == x.dtype
        np.testing.assert_array_equal(ours["y"], np.where(kept.reshape(-1, *[1] * len(tail)), x, z))


@settings(max_examples=25)
@given(
    st.lists(st.booleans(), max_size=5),
    st.sampled_from([13, 17, 21]),
    st.sampled_from([13, 18]),
    st.sampled_from([SIZES, (None, 3), ("rows", None)]),
    st.sampled_from([SIZES, (None, 3), ("m", "k")]),
)
def test_the_models_may_declare_their_rows_as_they_like(
    keep: list[bool], opset: int, other: int, ours: Sequence[Any], theirs: Sequence[Any]
) -> None:
    local = passing((spec("x", shape=ours), spec("y", shape=ours)), KEEP, opset=opset)
    remote = dense("remote", "x", "y", (3, 3), opset=other, rows=theirs[0])
    composed = oh.cascade(local, remote, accept=JUDGE, rows=True)
    x = rows(len(keep), 3)
    by_hand = x.copy()
    by_hand[~np.array(keep, bool)] = run(remote, {"x": x[~np.array(keep, bool)]})["y"]
    np.testing.assert_array_equal(run(composed, {"x": x, "keep": np.array(keep, bool)})["y"], by_hand)


def _counting() -> oh.Model:
    """X -> y = x + the number of rows that came."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"]),
        helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    zero = numpy_helper.from_array(np.array(0), "zero")
    return of_graph(helper.make_graph(nodes, "counting", [spec("x")], [spec("y")], [zero]))


def test_only_the_refused_rows_travel_in_one_request_and_none_where_all_are_accepted() -> None:
    local = passing((spec("x"), spec("y")), KEEP)
    with oh.endpoint.serve({"m": _counting()}) as server:
        session = oh.Session(oh.cascade(local, oh.remote.triton(server.url, "m"), accept=JUDGE, rows=True))
        x = rows(5, 3)
        for keep in ([1, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0] * 5):
            refused = ~np.array(keep, bool)
            before = sum(stats.calls for stats in session.stats().values())
            (y,) = session.run(None, {"x": x, "keep": ~refused})
            np.testing.assert_array_equal(y, x + (refused * refused.sum()).astype(np.float32)[:, None])
            assert sum(stats.calls for stats in session.stats().values()) - before == int(refused.any())


def test_tokens_and_options_are_passed_whole_and_every_input_with_rows_is_cut() -> None:
    nodes = [
        helper.make_node("Concat", ["token", "token"], ["two"], axis=0),
        helper.make_node("Mul", ["x", "mask"], ["masked"]),
        helper.make_node("Mul", ["masked", "scale"], ["scaled"]),
        helper.make_node("Identity", ["scaled"], ["y"]),
    ]
    inputs = [spec("token", "str", [1]), spec("x"), spec("mask", shape=("n", 1)), spec("scale", shape=())]
    remote = of_graph(helper.make_graph(nodes, "remote", inputs, [spec("y")]))
    composed = oh.cascade(passing((spec("x"), spec("y")), KEEP), remote, accept=JUDGE, rows=True)
    x, mask, keep = rows(4, 3), rows(4, 1, 1), np.array([1, 0, 1, 0], bool)
    feeds = {"x": x, "mask": mask, "keep": keep, "token": np.array(["t"], object), "scale": np.array(3, np.float32)}
    np.testing.assert_array_equal(run(composed, feeds)["y"], np.where(keep[:, None], x, x * mask * np.float32(3)))


def test_an_input_whose_first_size_is_another_than_that_of_the_outputs_is_passed_whole() -> None:
    nodes = [helper.make_node("MatMul", ["x", "table"], ["y"])]
    inputs = [spec("x", shape=("b", "k")), spec("table", shape=("k", 3))]
    remote = of_graph(helper.make_graph(nodes, "r", inputs, [spec("y", shape=("b", 3))]))
    composed = oh.cascade(passing((spec("x"), spec("y")), KEEP), remote, accept=JUDGE, rows=True)
    x, table, keep = rows(3, 3), rows(3, 3, 1), np.array([1, 0, 1], bool)
    ours = run(composed, {"x": x, "table": table, "keep": keep})["y"]
    np.testing.assert_allclose(ours, np.where(keep[:, None], x, x @ table), rtol=1e-6)


def test_a_local_model_of_one_row_asks_for_it_or_does_not() -> None:
    keeping = spec("keep", "bool", [1]), spec("kept", "bool", [1])
    local = passing((spec("x", shape=(1, 3)), spec("y", shape=(1, 3))), keeping)
    composed = oh.cascade(local, dense("r", "x", "y", (3, 3)), accept=JUDGE, rows=True)
    x = rows(1, 3)
    for keep, expected in ((True, x), (False, run(dense("r", "x", "y", (3, 3)), {"x": x})["y"])):
        np.testing.assert_array_equal(run(composed, {"x": x, "keep": np.array([keep])})["y"], expected)


def test_a_row_of_several_verdicts_is_accepted_if_all_hold() -> None:
    local = dense("l", "x", "y", (3, 3))
    several = of_graph(
        helper.make_graph(
            [helper.make_node("Greater", ["y", "zero"], ["v"])], "several", [spec("y")], [spec("v", "bool")],
            [numpy_helper.from_array(np.array(-1, np.float32), "zero")],
        )
    )  # fmt: skip
    remote = dense("r", "x", "y", (3, 3), seed=3)
    x = rows(9, 3)
    first, second = run(local, {"x": x})["y"], run(remote, {"x": x})["y"]
    ours = run(oh.cascade(local, remote, accept=several, rows=True), {"x": x})["y"]
    np.testing.assert_allclose(ours, np.where((first > -1).all(-1, keepdims=True), first, second), rtol=1e-5)


_shares = st.floats(0, 1, width=32)


@settings(max_examples=25)
@given(st.integers(0, 6), _shares, _shares, st.booleans(), st.booleans())
def test_cascades_of_rows_nest(count: int, one: float, two: float, outer_rows: bool, as_local: bool) -> None:
    a, b, c = (dense(name, "x", "p", (3, 5), seed=seed, softmax=True) for seed, name in enumerate("abc"))

    def judged(threshold: float) -> oh.Model:
        return oh.judge.max_probability("p") >= threshold

    def by_hand(local: Array, remote: Array, threshold: float, by_row: bool) -> Array:
        accepted = local.max(-1, initial=0) >= np.float32(threshold)
        return np.where(accepted[:, None] if by_row else accepted.all(), local, remote)

    inner = oh.cascade(a, b, accept=judged(one), rows=True)
    models = (inner, c) if as_local else (c, inner)
    composed = oh.switch("on", oh.cascade(*models, accept=judged(two), rows=outer_rows), a)
    x = rows(count, 3)
    p, q, r = (run(model, {"x": x})["p"] for model in (a, b, c))
    within = by_hand(p, q, one, True)
    expected = by_hand(within, r, two, outer_rows) if as_local else by_hand(r, within, two, outer_rows)
    np.testing.assert_allclose(run(composed, {"x": x, "on": np.array(True)})["p"], expected, rtol=1e-5)


def test_the_remote_may_be_a_chain_a_parallel_of_two_or_a_switch() -> None:
    x, keep = rows(5, 3), np.array([1, 0, 0, 1, 0], bool)
    local = passing((spec("x"), spec("y")), KEEP)
    chain = oh.chain(dense("before", "x", "h", (3, 4)), dense("after", "h", "y", (4, 3)))
    two = oh.parallel(a=chain, b=dense("b", "x", "y", (3, 3)))
    add = helper.make_node("Add", ["a/y", "b/y"], ["y"])
    added = of_graph(helper.make_graph([add], "sum", [spec("a/y"), spec("b/y")], [spec("y")]))
    for remote in (chain, oh.chain(two, added), oh.switch("which", chain, dense("b", "x", "y", (3, 3)))):
        composed = oh.cascade(local, remote, accept=JUDGE, rows=True)
        feeds = {"x": x, "keep": keep, "which": np.array(True)}
        by_hand = np.where(keep[:, None], x, run(remote, feeds)["y"])
        np.testing.assert_allclose(run(composed, feeds)["y"], by_hand, rtol=1e-5)


def test_what_remote_keeps_in_nested_graphs_reads_the_refused_rows_too() -> None:
    branch = [
        helper.make_graph([helper.make_node(op, ["x"], [f"{op}_"])], op, [], [spec(f"{op}_", shape=None)])
        for op in ("Neg", "Abs")
    ]
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch[0], else_branch=branch[1])
    remote = of_graph(helper.make_graph([node], "nested", [spec("c", "bool", []), spec("x")], [spec("y")]))
    composed = oh.cascade(passing((spec("x"), spec("y")), KEEP), remote, accept=JUDGE, rows=True)
    x, keep = rows(4, 3), np.array([0, 1, 1, 0], bool)
    ours = run(composed, {"x": x, "keep": keep, "c": np.array(True)})["y"]
    np.testing.assert_array_equal(ours, np.where(keep[:, None], x, -x))


def _answering(shape: Sequence[int], count: int) -> bytes:
    return reply(shape=list(shape), data=[float(n) for n in range(count)])


@pytest.mark.parametrize(("shape", "count"), [((3, 2), 6), ((1, 2), 2), ((2, 3), 6), ((2, 1), 2), ((0, 2), 0)])
def test_a_remote_that_answers_other_rows_than_it_was_sent_is_an_error(shape: tuple[int, ...], count: int) -> None:
    body = _answering(shape, count)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with raw_server(in_turn(iter([lambda connection, _: connection.sendall(answer)]))) as server:
        remote = oh.remote.triton(
            server.url, "adder", inputs=[oh.TensorSpec("x", "float32", ("n", 3))],
            outputs=[oh.TensorSpec("y", "float32", (None, None))], retries=0, timeout=3.0,
        )  # fmt: skip
        local = oh.chain(passing((spec("x"), spec("h")), KEEP), dense("d", "h", "y", (3, 2)))
        session = oh.Session(oh.cascade(local, remote, accept=JUDGE, rows=True))
        with pytest.raises(oh.Error) as caught:
            session.run(None, {"x": rows(4, 3), "keep": np.array([1, 0, 0, 1], bool)})
        assert caught.value.code == "OH546"


@pytest.mark.parametrize("count", [0, 3, 5])
def test_inputs_and_verdicts_of_other_numbers_of_rows_are_an_error(count: int) -> None:
    session = oh.Session(pair("float32"))
    for feeds in (
        {"x": rows(4, 3), "z": rows(count, 3), "keep": np.ones(4, bool)},
        {"x": rows(4, 3), "z": rows(4, 3), "keep": np.ones(count, bool)},
        {"x": rows(count, 3), "z": rows(4, 3), "keep": np.ones(4, bool)},
    ):
        with pytest.raises(oh.Error, match="OH546"):
            session.run(None, feeds)


def test_a_judge_of_one_verdict_cannot_judge_rows() -> None:
    keep, kept, verdict = (spec(name, "bool", None) for name in ("keep", "kept", "verdict"))
    local, judge = passing((spec("x"), spec("y")), (keep, kept)), passing((kept, verdict))
    session = oh.Session(oh.cascade(local, dense("r", "x", "y", (3, 3)), accept=judge, rows=True))
    with pytest.raises(oh.Error, match="OH546"):
        session.run(None, {"x": rows(4, 3), "keep": np.array(False)})


def failing(**options: Any) -> oh.Model:
    return adder("http://127.0.0.1:1", on_error="flag", **options)


LOCAL = oh.chain(passing((spec("x"), spec("h")), KEEP), dense("d", "h", "y", (3, 2)))


def test_an_input_of_unknown_rank_has_the_rows_of_locals_input_of_that_name() -> None:
    declared = dense("r", "x", "y", (3, 2), seed=4)
    proto = declared.to_proto()
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    remote, x = oh.Model.from_proto(proto), rows(4, 3)
    assert remote.inputs[0].shape is None
    keep = np.array([1, 0, 0, 1], bool)
    ours = outputs(oh.cascade(LOCAL, remote, accept=JUDGE, rows=True), {"x": x, "keep": keep})["y"]
    both = [run(model, feeds)["y"] for model, feeds in ((LOCAL, {"x": x, "keep": keep}), (declared, {"x": x}))]
    np.testing.assert_allclose(ours, np.where(keep[:, None], *both), rtol=1e-6)


@pytest.mark.parametrize("by_row", [True, False])
def test_a_call_that_failed_and_says_so_leaves_the_local_answer(by_row: bool) -> None:
    composed = oh.cascade(LOCAL, failing(), accept=JUDGE, rows=by_row, report=True)
    assert [value.name for value in composed.outputs] == ["y", "ok", "status", "error", "accepted", "score"]
    x = rows(3, 3)
    local = run(LOCAL, {"x": x, "keep": np.ones(3, bool)})["y"]
    refused = outputs(composed, {"x": x, "keep": np.array([1, 0, 1], bool)})
    np.testing.assert_array_equal(refused["y"], local)
    assert not refused["ok"]
    assert "OH50" in refused["error"].item()
    assert refused["accepted"].tolist() == ([True, False, True] if by_row else False)
    accepted = outputs(composed, {"x": x, "keep": np.ones(3, bool)})
    np.testing.assert_array_equal(accepted["y"], local)
    assert (accepted["ok"].item(), accepted["status"].item(), accepted["error"].item()) == (True, 0, "")


def test_a_call_that_succeeded_says_so() -> None:
    remote = dense("r", "x", "y", (3, 2), seed=5)
    with oh.endpoint.serve({"adder": remote}) as server:
        flagged = adder(server.url, on_error="flag")
        x, keep = rows(3, 3), np.array([1, 0, 1], bool)
        by_hand = [run(model, {"x": x, "keep": keep})["y"] for model in (LOCAL, remote)]
        for by_row, where in ((True, keep[:, None]), (False, False)):
            ours = outputs(oh.cascade(LOCAL, flagged, accept=JUDGE, rows=by_row), {"x": x, "keep": keep})
            np.testing.assert_allclose(ours["y"], np.where(where, *by_hand), rtol=1e-6)
            assert (ours["ok"].item(), ours["status"].item(), ours["error"].item()) == (True, 200, "")


def test_flags_come_through_cascades_renames_and_branches() -> None:
    inner = oh.cascade(LOCAL, failing().rename({"ok": "fine"}), accept=JUDGE, rows=True)
    outer = oh.cascade(LOCAL, oh.switch("on", inner, inner), accept=JUDGE, rows=True)
    feeds = {"x": rows(3, 3), "keep": np.array([1, 0, 1], bool), "on": np.array(True)}
    ours = outputs(outer, feeds)
    assert not ours["fine"]
    np.testing.assert_array_equal(ours["y"], run(LOCAL, feeds)["y"])


def test_where_the_flags_were_dropped_a_failure_is_never_an_answer() -> None:
    composed = oh.cascade(LOCAL, failing().select(["y"]), accept=JUDGE, rows=True)
    with pytest.raises(oh.Error, match="OH546"):
        outputs(composed, {"x": rows(3, 3), "keep": np.array([1, 0, 1], bool)})


def test_a_failure_that_is_raised_keeps_its_code() -> None:
    with pytest.raises(oh.RemoteRefused):
        outputs(oh.cascade(LOCAL, adder("http://127.0.0.1:1"), accept=JUDGE, rows=True),
                {"x": rows(3, 3), "keep": np.array([1, 0, 1], bool)})  # fmt: skip


@settings(max_examples=25)
@given(st.integers(0, 4), st.floats(0, 1, width=32), st.booleans(), st.booleans())
def test_a_report_gives_what_was_accepted_and_what_was_compared(
    count: int, threshold: float, by_row: bool, softmax: bool
) -> None:
    a, b = (dense(name, "x", "p", (3, 5), seed=seed, softmax=not softmax) for seed, name in enumerate("ab"))
    judge = (oh.judge.max_probability("p", softmax=softmax) >= threshold).rename({"judge/score": "other"})
    composed = oh.cascade(a, b, accept=judge, rows=by_row, report=True)
    plain = oh.cascade(a, b, accept=judge, rows=by_row)
    feeds = {"x": rows(count, 3)}
    ours = run(composed, feeds)
    p = run(a, feeds)["p"]
    score = (np.exp(p) / np.exp(p).sum(-1, keepdims=True) if softmax else p).max(-1, initial=0)
    np.testing.assert_allclose(ours["score"], score, rtol=1e-5)
    accepted = ours["score"] >= np.float32(threshold)
    np.testing.assert_array_equal(ours["accepted"], accepted if by_row else accepted.all())
    np.testing.assert_array_equal(ours["p"], run(plain, feeds)["p"])


@pytest.mark.parametrize("by_row", [True, False])
def test_a_judge_without_a_score_reports_one_where_it_accepts(by_row: bool) -> None:
    composed = oh.cascade(LOCAL, dense("r", "x", "y", (3, 2)), accept=JUDGE, rows=by_row, report=True)
    ours = run(composed, {"x": rows(3, 3), "keep": np.array([1, 0, 1], bool)})
    assert ours["score"].tolist() == ([1.0, 0.0, 1.0] if by_row else 0.0)
    assert ours["score"].dtype == np.float32


def test_the_score_of_a_judge_stays_with_the_judge() -> None:
    judge = oh.judge.max_probability("p") >= 0.5
    a, b = (dense(name, "x", "p", (3, 5), seed=seed) for seed, name in enumerate("ab"))
    assert not [key for key in oh.cascade(a, b, accept=judge).metadata if "score" in key]
    with pytest.raises(oh.ComposeError, match="OH224"):
        oh.cascade(a, b, accept=judge.with_metadata({"onnxhybrid.score": "gone"}), report=True)


A = passing((spec("x"), spec("y")), KEEP)


def remote_of(*inputs: onnx.ValueInfoProto, y: onnx.ValueInfoProto | None = None) -> oh.Model:
    nodes = [helper.make_node("Identity", [inputs[0].name], ["y"])]
    return of_graph(helper.make_graph(nodes, "r", list(inputs), [y or spec("y")]))


REPORTING = passing((spec("x"), spec("accepted")), KEEP)
TURNED = spec("y", shape=("t", "n"))


def by_rows(local: oh.Model, remote: oh.Model) -> oh.Model:
    return oh.cascade(local, remote, accept=JUDGE, rows=True)


def _sequence() -> oh.Model:
    value = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("SequenceConstruct", ["x"], ["y"]), helper.make_node("Identity", ["keep"], ["kept"])]
    return of_graph(helper.make_graph(nodes, "s", [spec("x"), KEEP[0]], [value, KEEP[1]]))


@pytest.mark.parametrize(
    ("code", "names", "compose"),
    [
        ("OH220", "rows", lambda: oh.cascade(A, A, accept=JUDGE, rows=1)),  # type: ignore[arg-type]
        ("OH220", "report", lambda: oh.cascade(A, A, accept=JUDGE, report=None)),  # type: ignore[arg-type]
        ("OH220", "speculate", lambda: oh.cascade(A, A, accept=JUDGE, speculate="yes")),  # type: ignore[arg-type]
        ("OH221", "'accepted'",
         lambda: oh.cascade(REPORTING, REPORTING, accept=JUDGE, report=True)),
        ("OH222", r"x: float32\[8, 3\]", lambda: by_rows(A, remote_of(spec("x", shape=(8, 3))))),
        ("OH222", r"float32\[8, 3\]", lambda: by_rows(A, remote_of(spec("z", shape=(8, 3))))),
        ("OH222", r"z: float32\[…\]", lambda: by_rows(A, remote_of(spec("z", shape=None)))),
        ("OH222", r"m: float32\[b, 2\]",
         lambda: by_rows(A, remote_of(spec("z", shape=("a", 3)), spec("m", shape=("b", 2))))),
        ("OH222", r"h: float32\[2, n\]", lambda: by_rows(A, remote_of(spec("z"), spec("h", shape=(2, "n"))))),
        ("OH222", "token", lambda: by_rows(A, remote_of(spec("token", shape=(1,))))),
        ("OH223", r"y: float32\[n, 4\]", lambda: by_rows(A, remote_of(spec("x"), y=spec("y", shape=("n", 4))))),
        ("OH223", r"y: float32\[n\]", lambda: by_rows(A, remote_of(spec("x"), y=spec("y", shape=("n",))))),
        ("OH223", r"y: float32\[\]", lambda: by_rows(A, remote_of(spec("x"), y=spec("y", shape=())))),
        ("OH223", r"y: float32\[7, 3\]", lambda: by_rows(A, remote_of(spec("x"), y=spec("y", shape=(7, 3))))),
        ("OH223", "'y'",
         lambda: by_rows(passing((spec("x"), TURNED), KEEP), remote_of(spec("x"), y=TURNED))),
        ("OH223", "y", lambda: by_rows(_sequence(), _sequence().select(["y"]))),
        ("OH223", "y", lambda: pair("float8_e4m3fn")),
        ("OH206", "y", lambda: by_rows(A, remote_of(spec("x"), y=spec("y", "float16")))),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_or_put_together_is_an_error_that_names_it(code: str, names: str, compose: Any) -> None:
    with pytest.raises(oh.ComposeError, match=names) as caught:
        compose()
    assert caught.value.code == code


@pytest.mark.parametrize("options", [{}, {"rows": True}, {"report": True}, {"rows": True, "report": True}])
def test_a_threshold_without_a_default_is_an_input_that_has_to_be_fed(options: dict[str, bool]) -> None:
    local = passing((spec("x"), spec("y")), name="local")
    remote = passing((spec("z"), spec("y")), name="remote")
    judge = (oh.judge.value("y") >= oh.Input("limit")) & ~(oh.judge.value("y") > oh.Input("most"))
    composed = oh.cascade(local, remote, accept=judge, **options)
    required = [value.name for value in composed.inputs if not value.optional]
    assert required == ["x", "limit", "most", "z"]
    limits = {"limit": np.array([1], np.float32), "most": np.array([3], np.float32)}
    x, z = np.full((2, 3), 2, np.float32), np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(outputs(composed, {"x": x, "z": z, **limits})["y"], x)
    np.testing.assert_array_equal(outputs(composed, {"x": x + 2, "z": z, **limits})["y"], z)


def test_a_judge_that_reads_what_local_does_not_give_is_an_error_beside_a_threshold_without_a_default() -> None:
    local = passing((spec("x"), spec("y")), name="local")
    judge = (oh.judge.value("y") >= oh.Input("limit")) & (oh.judge.value("yy") >= 0.5)
    with pytest.raises(oh.ComposeError, match=r"OH208.*'yy'"):
        oh.cascade(local, local, accept=judge)
