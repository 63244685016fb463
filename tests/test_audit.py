"""`cascade(audit=)` and `Session.audit()`: the answer is local's, and what the remote would have said is counted."""

from __future__ import annotations

import concurrent.futures
import ctypes
import gc
import json
import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.model.dtypes import elem_type
from tests.audits import (
    ALL,
    JUDGE,
    NODE,
    NONE,
    SOON,
    audited,
    differ,
    differing,
    eventually,
    found,
    passing,
    received,
    remote,
    rows_at,
)
from tests.remotes import TOKEN
from tests.servers.raw import answer, raw_server, silence
from tests.strategies import Array, dense, of_graph, rows
from tests.test_async import needs_fork, script
from tests.test_begin import Gate

X = rows(6, 3)
OTHERWISE = int((X[:, 0] < 0).sum())
"""How many rows of X the server answers otherwise."""


def same(one: list[Any], other: list[Any]) -> None:
    for ours, theirs in zip(one, other, strict=True):
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


@pytest.mark.parametrize("threshold", [-1e9, 0.5, 1e9])
@pytest.mark.parametrize("speculate", [False, True])
@pytest.mark.parametrize("report", [False, True])
@pytest.mark.parametrize("by_row", [False, True])
def test_what_comes_out_is_what_comes_out_without_an_audit(
    by_row: bool, report: bool, speculate: bool, threshold: float
) -> None:
    options = {"rows": by_row, "report": report, "speculate": speculate}
    feeds = {"x": X, "threshold": np.array([threshold], np.float32)}
    with raw_server(differ) as server:
        model = audited(server.url, **options)
        assert not oh.validate(model).errors
        expected = oh.Session(oh.cascade(passing(), remote(server.url), JUDGE, **options)).run(None, feeds)
        same(oh.Session(model).run(None, feeds), expected)


def test_every_accepted_row_that_differs_is_counted_and_no_refused_one_is_asked_twice() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, rows=True))
        accepted = X.max(axis=1) >= 0.5
        session.run(None, {"x": X, "threshold": np.array([0.5], np.float32)})
        stats = found(session, int(accepted.sum()))
        assert 0 < accepted.sum() < len(X)
        assert (stats.audited, stats.differed) == (accepted.sum(), (X[accepted, 0] < 0).sum())
        assert (stats.failed, stats.dropped, stats.alarm, stats.promised) == (0, 0, False, None)
        sent = sorted(map(tuple, rows_at(server).tolist()))
        assert sent == sorted(map(tuple, X.tolist())) and len(server.requests) == 2
        counted = session.stats()[NODE]
        assert (counted.calls, counted.audited, counted.differed) == (1, stats.audited, stats.differed)


def test_without_rows_a_run_counts_as_one() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url))
        for x in (X, np.abs(X), X[:1], np.abs(X[:1])):
            session.run(None, {"x": x})
        session.run(None, {"x": X, "threshold": NONE})
        stats = found(session, 4)
        assert (stats.audited, stats.differed) == (4, 1 + int(X[0, 0] < 0))
        assert session.stats()[NODE].calls == 4


def test_a_share_of_the_accepted_rows_is_drawn_each_by_itself() -> None:
    count, share = 20_000, 0.05
    x = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, share, rows=True))
        for _ in range(2):
            session.run(None, {"x": x})
        eventually(lambda: session.audit()[NODE].audited == len(rows_at(server)) and len(server.requests) == 2)
        one, other = (set(received(request)[:, 0].tolist()) for request in server.requests)
    spread = 5 * (count * share * (1 - share)) ** 0.5
    for drawn in (one, other):
        assert abs(len(drawn) - count * share) < spread
    # Two draws have as many rows in common as chance gives them.
    assert abs(len(one & other) - count * share**2) < 5 * (count * share**2) ** 0.5


def test_runs_are_drawn_each_by_itself() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, 0.2))
        x = X[:1]
        for _ in range(2_000):
            session.run(None, {"x": x})
        eventually(lambda: 300 < session.audit()[NODE].audited == len(server.requests))
        stats = session.audit()[NODE]
    assert stats.audited + stats.dropped < 500


@settings(max_examples=15)
@given(st.sampled_from(["str", "bool", "int64", "uint8", "float16", "float32", "float64", "int8"]), st.data())
def test_rows_of_any_type_are_compared(dtype: str, data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=9)))
    x: Array = np.array(["grün", "日本"], object)[values] if dtype == "str" else values.astype(dtype)

    def of(nodes: list[Any], *outputs: str) -> oh.Model:
        kinds = {"x": elem_type(dtype), "y": elem_type(dtype), "score": TensorProto.FLOAT, "s": TensorProto.FLOAT}
        given = [name for name in ("x", "s") if any(name in node.input for node in nodes)]
        tensors = {name: helper.make_tensor_value_info(name, kinds[name], ["n"]) for name in (*given, *outputs)}
        fixed = [helper.make_tensor(name, TensorProto.INT64, [1], [value])
                 for name, value in {"last": -1, "end": -(1 << 62), "step": -1, "axis": 0}.items()]  # fmt: skip
        inputs, results = ([tensors[name] for name in names] for names in (given, outputs))
        return of_graph(helper.make_graph(nodes, "g", inputs, results, fixed), opset=18)

    local = of(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["s"], ["score"])], "y", "score"
    )
    reverse = of([helper.make_node("Slice", ["x", "last", "end", "axis", "step"], ["y"])], "y")
    with serve({"m": reverse}) as server:
        spec = [oh.TensorSpec(name, dtype, ("n",)) for name in "xy"]
        cloud = oh.remote.triton(server.url, "m", inputs=spec[:1], outputs=spec[1:])
        session = oh.Session(oh.cascade(local, cloud, oh.judge.value("score") >= 0, rows=True, audit=1.0))
        session.run(["y"], {"x": x, "s": np.zeros(len(x), np.float32)})
        stats = found(session, len(x))
    assert (stats.audited, stats.differed) == (len(x), int((x != x[::-1]).sum()))


def failing(**options: object) -> oh.Session:
    return oh.Session(audited("http://127.0.0.1:1", rows=True, **options))


@pytest.mark.parametrize(
    ("behave", "options"),
    [
        (answer(b'{"error": "no"}', status="400 Bad Request"), {}),
        (answer(b"nonsense"), {}),
        (answer(b'{"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}'), {}),
        (silence, {"timeout": 0.2}),
        (answer(b'{"error": "no"}', status="400 Bad Request"), {"on_error": "flag"}),
        (differ, {"auth": oh.Credential("absent")}),
    ],
)  # fmt: skip
def test_an_audit_that_fails_is_counted_and_told_to_nobody_else(behave: Any, options: dict[str, Any]) -> None:
    with raw_server(behave) as server:
        session = oh.Session(audited(server.url, rows=True, **options))
        given = {"x": X}
        np.testing.assert_array_equal(session.run(["y"], given)[0], X)
        stats = found(session, len(X))
        assert (stats.audited, stats.failed, stats.low) == (0, len(X), 0.0)


def test_a_policy_a_budget_and_a_breaker_hold_for_audits_and_end_no_run() -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True)
        for policy, code, passed in [
            (oh.Policy(deny=["127.0.0.1"]), "OH520", 0),
            (oh.Policy(budget={"calls": 2}), "OH521", 2),
            (oh.Policy(max_response_bytes=10), "OH507", 0),
        ]:
            session = oh.Session(model, policy=policy)
            for _ in range(4):
                np.testing.assert_array_equal(session.run(["y"], {"x": X})[0], X)
            stats = found(session, 4 * len(X))
            assert (stats.audited, stats.failed) == (passed * len(X), (4 - passed) * len(X))
            assert session.stats()[NODE].errors == {code: 4 - passed}


def test_a_credential_goes_to_its_hosts_alone() -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True, auth=oh.Credential("gpu"))
        session = oh.Session(model, credentials={"gpu": TOKEN})
        session.run(None, {"x": X})
        assert found(session, len(X)).audited == len(X)
        assert b"Bearer " + TOKEN.encode() in server.requests[0]
        elsewhere = oh.Session(model, credentials={"gpu": oh.Secret(TOKEN, hosts=["gpu.example"])})
        elsewhere.run(None, {"x": X})
        assert found(elsewhere, len(X)).failed == len(X)
        assert elsewhere.stats()[NODE].errors == {"OH511": 1} and len(server.requests) == 1


def test_a_token_and_a_further_input_go_along() -> None:
    with raw_server(differ) as server:
        cloud = remote(server.url, auth=oh.Input("auth_token"), parameters={"priority": oh.Input(default=0)})
        model = oh.cascade(passing(), cloud, JUDGE, rows=True, audit=1.0)
        assert not oh.validate(model).errors
        with pytest.raises(oh.ModelError, match="OH303"):
            model.bind(auth_token="secret")
        session = oh.Session(model)
        session.run(None, {"x": X, "auth_token": np.array([TOKEN], object), "priority": np.array([7], np.int64)})
        stats = found(session, len(X))
    assert (stats.audited, stats.differed) == (len(X), OTHERWISE)
    assert b"Bearer " + TOKEN.encode() in server.requests[0] and b'"priority":7' in server.requests[0]


def test_no_run_waits_for_a_server_that_never_answers_and_few_calls_are_under_way() -> None:
    with raw_server(silence) as server:
        session = oh.Session(audited(server.url, timeout=300.0))
        began = time.monotonic()
        for _ in range(100):
            session.run(None, {"x": X})
        assert time.monotonic() - began < SOON
        eventually(lambda: len(server.requests) == 16)
        assert session.audit()[NODE] == oh.AuditStats(dropped=84)


def test_a_session_that_goes_away_drops_its_audits() -> None:
    gate = Gate()
    with raw_server(gate.watch) as server:
        session = oh.Session(audited(server.url, timeout=300.0))
        session.run(None, {"x": X})
        assert gate.seen.wait(SOON)
        del session
        gc.collect()
        assert gate.gone.wait(SOON)


def test_a_process_ends_while_audits_are_under_way() -> None:
    seen, enough = threading.Semaphore(0), threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        seen.release()
        if all(seen.acquire(timeout=SOON) for _ in range(5)) and not enough.is_set():
            enough.set()
        connection.recv(1)

    program = """
    from tests.audits import audited, found
    session = oh.Session(audited(sys.argv[1], timeout=300.0))
    for _ in range(5):
        session.run(None, {"x": X})
    sys.exit(7)
    """
    with raw_server(behave) as server:
        done = script(program, server.url)
    assert done.returncode == 7, done.stderr
    for word in ("terminate called", "Fatal", "panicked", "core dumped"):
        assert word not in done.stderr


@needs_fork
def test_a_forked_child_audits_and_leaves_its_parents_audits_alone() -> None:
    gates: list[bool] = []

    def behave(connection: socket.socket, request: bytes) -> None:
        gates.append(True)
        (silence if len(gates) == 1 else differ)(connection, request)

    program = """
    import os
    from tests.audits import audited, found, NODE
    session = oh.Session(audited(sys.argv[1], timeout=3.0))
    session.run(None, {"x": X})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            own = oh.Session(audited(sys.argv[1]))
            own.run(None, {"x": X})
            assert found(own, 1).audited == 1, own.audit()
            session.run(None, {"x": X})
            assert found(session, 1).audited == 1, session.audit()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    session.run(None, {"x": X})
    stats = found(session, 2)
    assert (stats.audited, stats.failed) == (1, 1), stats
    print("done")
    """
    with raw_server(behave) as server:
        done = script(program, server.url)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_the_runs_of_many_threads_add_up() -> None:
    with raw_server(differ) as server:
        session = oh.Session(audited(server.url, 0.5, rows=True))

        def work(number: int) -> None:
            for turn in range(25):
                x = rows(8, 3, 1000 * number + turn)
                np.testing.assert_array_equal(session.run(["y"], {"x": x})[0], x)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        eventually(lambda: session.audit()[NODE].audited == len(rows_at(server)))
        stats, sent = session.audit()[NODE], rows_at(server)
    assert stats.differed == int((sent[:, 0] < 0).sum())
    assert stats.audited + stats.dropped > 600


def fortunes(counts: list[tuple[int, int]], shares: Array) -> Array:
    """The largest fortune, over the steps so far, against each share: gambler by gambler, and row by row."""
    powers = np.arange(-16, 17)
    stakes, parts = 2.0 ** (powers / 2), 1 / (4.0 + abs(powers)) ** 2
    stakes = np.minimum(stakes[:, None], 1 / shares)
    owned, most = np.ones(stakes.shape) * (parts / parts.sum())[:, None], np.zeros(len(shares))
    for audited, differed in counts:
        for differs in [1] * differed + [0] * (audited - differed):
            owned *= 1 + stakes * (differs - shares)
        most = np.maximum(most, owned.sum(0))
    return most


def test_the_bound_is_the_least_share_that_no_gambler_ruins() -> None:
    shares = np.linspace(0.0005, 0.9995, 1999)
    random = np.random.default_rng(15)
    for truth in (0.05, 0.5):
        counts: list[tuple[int, int]] = []
        with raw_server(differ) as server:
            session = oh.Session(audited(server.url, rows=True))
            for _ in range(12):
                x = np.where(random.random((20, 1)) < truth, -1, np.ones((20, 3))).astype(np.float32)
                session.run(None, {"x": x})
                counts.append((20, int((x[:, 0] < 0).sum())))
                low = found(session, 20 * len(counts)).low
                least = shares[fortunes(counts, shares) < 20][0]
                assert least - 0.0005 <= low + 1e-9 and low <= least + 1e-9
        assert 0 < low < truth or truth == 0.05


def test_rows_are_counted_in_the_order_in_which_they_were_drawn() -> None:
    let, held = threading.Event(), threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if not held.is_set():
            held.set()
            assert let.wait(SOON)
        differ(connection, request)

    with raw_server(behave) as server:
        session = oh.Session(audited(server.url, rows=True))
        session.run(None, {"x": X})
        assert held.wait(SOON)
        session.run(None, {"x": X})
        eventually(lambda: session.stats()[NODE].calls == 1)
        assert session.audit()[NODE].audited == 0
        let.set()
        assert found(session, 2 * len(X)).audited == 2 * len(X)


def certified(url: str, promised: object, **more: object) -> oh.Model:
    certificate = {"loss": 0.01, "confidence": 0.95, "rows": 500, "differ_high": promised, **more}
    return audited(url, rows=True).with_metadata({"onnxhybrid.certificate": json.dumps(certificate)})


def test_the_alarm_is_raised_once_in_a_log_line_where_more_differ_than_was_promised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with raw_server(differ) as server, caplog.at_level(logging.WARNING, "onnxhybrid"):
        kept, broken = oh.Session(certified(server.url, 0.9)), oh.Session(certified(server.url, 0.1))
        x = rows(400, 3)
        for session in (kept, broken):
            for _ in range(2):
                session.run(None, {"x": x})
            found(session, 800)
            session.run(None, {"x": x})
            found(session, 1200)
        assert not kept.audit()[NODE].alarm
        stats = broken.audit()[NODE]
        assert stats.alarm and stats.promised == 0.1 < stats.low < stats.differed / stats.audited
        lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and "OH635" in lines[0] and NODE in lines[0]


@pytest.mark.parametrize(
    ("told", "promised"),
    [
        ({"differ_high": 0.25}, 0.25),
        ({"differ_high": 0.25, "output": "y"}, 0.25),
        ({"differ_high": 0.25, "output": "other"}, None),
        ({"differ_high": "0.25"}, None),
        ({"differ_high": 2}, None),
        ({}, None),
        ([], None),
    ],
)
def test_what_a_certificate_promises_is_known_at_run_time(told: object, promised: float | None, tmp_path: Path) -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True).with_metadata({"onnxhybrid.certificate": json.dumps(told)})
        model.save(tmp_path / "m.onnx")
        for each in (model, tmp_path / "m.onnx", oh.load(tmp_path / "m.onnx").rename({"x": "image"})):
            session = oh.Session(each)
            assert session.audit()[NODE] == oh.AuditStats(promised=promised)
        renamed = model.rename({"y": "label"})
        known = promised if not isinstance(told, dict) or "output" not in told else None
        assert oh.Session(renamed).audit()[NODE].promised == known
        dropped = model.with_metadata({"onnxhybrid.certificate": "{}"})
        assert oh.Session(dropped).audit()[NODE].promised is None


def test_a_certificate_of_one_output_lets_that_one_be_compared() -> None:
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("same", "y")]
    nodes = [helper.make_node("Abs", ["x"], ["same"]), helper.make_node("Neg", ["x"], ["y"])]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    local = of_graph(helper.make_graph(nodes, "g", [value], outputs))
    served = of_graph(helper.make_graph([nodes[0], helper.make_node("Abs", ["x"], ["y"])], "g", [value], outputs))
    with serve({"m": served}) as server:
        cloud = oh.remote.triton(server.url, "m", inputs=local.inputs, outputs=local.outputs)
        model = oh.cascade(local, cloud, JUDGE, rows=True, audit=1.0)
        for output, count in [(None, (X > 0).any(1).sum()), ("y", (X > 0).any(1).sum()), ("same", 0)]:
            told = json.dumps({"differ_high": 0.5, "output": output})
            session = oh.Session(model.with_metadata({"onnxhybrid.certificate": told}))
            session.run(None, {"x": X})
            assert found(session, len(X)).differed == count


def test_nodes_before_the_call_are_part_of_the_audit() -> None:
    with raw_server(differ) as server:
        names = {"x": "image", "y": "x"}
        before = passing().rename(names)
        cloud = oh.chain(before, remote(server.url)).rename({"y": "z"})
        local = oh.chain(before, passing()).rename({"y": "z"})
        judge = oh.judge.logit_max("z") >= oh.Input("threshold", default=-1e9)
        for by_row in (False, True):
            session = oh.Session(oh.cascade(local, cloud, judge, rows=by_row, audit=1.0))
            np.testing.assert_array_equal(session.run(["z"], {"image": X})[0], X)
            stats = found(session, len(X) if by_row else 1)
            assert stats.differed == (OTHERWISE if by_row else 1)


def test_what_cannot_be_audited_is_refused_with_what_to_write() -> None:
    cloud = remote("http://127.0.0.1:1")
    after = oh.chain(cloud, passing().rename({"x": "y", "y": "z"})).rename({"y": "inner", "z": "y"})
    for other, words in [
        (oh.fallback(cloud, cloud.rename({})), "2 calls"),
        (after.select(["y"]), "behind the cascade"),
        (dense("other", "x", "y", (3, 3)), "no call"),
    ]:
        with pytest.raises(oh.ComposeError, match=rf"(?s)OH246.*{words}"):
            oh.cascade(passing(), other, JUDGE, audit=0.1)
        oh.cascade(passing(), other, JUDGE, audit=0.0)
    for share in (-0.1, 1.1, 2, float("nan"), True, "0.1", None):
        with pytest.raises(oh.ComposeError, match="OH247"):
            oh.cascade(passing(), cloud, JUDGE, audit=share)  # type: ignore[arg-type]


def test_nothing_of_an_audit_is_in_a_model_that_audits_nothing() -> None:
    cloud = remote("http://127.0.0.1:1")
    for options in ({}, {"rows": True}, {"rows": True, "speculate": True, "report": True}):
        plain = oh.cascade(passing(), cloud, JUDGE, **options)
        assert oh.cascade(passing(), cloud, JUDGE, audit=0.0, **options).to_proto() == plain.to_proto()
        assert b"Audit" not in plain.to_proto().SerializeToString()


def test_a_record_holds_no_audit_and_a_replay_asks_for_none(tmp_path: Path) -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True)
        session = oh.Session(model, record=tmp_path / "tape")
        for threshold in (ALL, NONE):
            session.run(None, {"x": X, "threshold": threshold})
        assert found(session, len(X)).audited == len(X)
    replayed = oh.Session(model, replay=tmp_path / "tape")
    np.testing.assert_array_equal(replayed.run(["y"], {"x": X})[0], X)
    np.testing.assert_array_equal(replayed.run(["y"], {"x": X, "threshold": NONE})[0], differing(X))
    assert replayed.audit()[NODE] == oh.AuditStats()
    assert (tmp_path / "tape").read_text("utf-8").count('"y"') <= 2


def test_a_model_says_whom_it_audits_by_and_can_be_moved(tmp_path: Path) -> None:
    with raw_server(differ) as server:
        model = audited("http://127.0.0.1:1", rows=True)
        assert {spec.node: spec.audits for spec in model.remotes} == {"remote/m": False, NODE: True}
        calls = json.loads(model.metadata["onnxhybrid.remotes"])
        assert {call["node"]: call.get("audits", False) for call in calls} == {"remote/m": False, NODE: True}
        assert NODE.split("/")[0] in model.metadata["onnxhybrid.parts"]
        moved = model.retarget({"http://127.0.0.1:1": server.url}).prefix("a/", inputs=False, outputs=False)
        assert {spec.endpoint for spec in moved.remotes} == {server.url}
        assert oh.overlap(moved).to_proto() == moved.to_proto()
        moved.save(tmp_path / "m.onnx")
        session = oh.Session(oh.chain(oh.load(tmp_path / "m.onnx"), passing().rename({"x": "y", "y": "z"})))
        session.run(None, {"x": X})
        eventually(lambda: next(iter(session.audit().values())).audited == len(X))
        (stats,) = session.audit().values()
        assert stats.differed == OTHERWISE


def test_an_audit_outlives_select_a_fallback_and_a_run_for_one_output() -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True, report=True)
        for each in (model, model.select(["y"])):
            session = oh.Session(each)
            options = onnxruntime.RunOptions()
            options.only_execute_path_to_fetches = True
            session.run(["y"], {"x": X}, options)
            assert found(session, len(X)).differed == OTHERWISE
        backed = oh.Session(oh.fallback(model.select(["y"]), dense("backup", "x", "y", (3, 3))))
        backed.run(["y"], {"x": X, "threshold": ALL})
        eventually(lambda: sum(stats.audited for stats in backed.audit().values()) == len(X))


def test_the_old_operators_audit_nothing_and_say_so() -> None:
    with pytest.raises(oh.ModelError, match="OH403.*audit="):
        oh.legacy.export(audited("http://127.0.0.1:1"))


def test_a_plain_session_audits_too_and_the_library_tells_what_it_found() -> None:
    library = ctypes.CDLL(oh.library_path())
    library.onnxhybrid_scope_stats.restype = ctypes.c_void_p
    library.onnxhybrid_free.argtypes = [ctypes.c_void_p]

    def stats() -> dict[str, Any]:
        text = library.onnxhybrid_scope_stats(ctypes.c_uint64(0))
        told: dict[str, Any] = json.loads(ctypes.string_at(text))
        library.onnxhybrid_free(text)
        return told

    with raw_server(differ) as server:
        proto = certified(server.url, 0.01).prefix("plain/", inputs=False, outputs=False).to_proto()
        options = onnxruntime.SessionOptions()
        options.register_custom_ops_library(oh.library_path())
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
        x = rows(100, 3)
        np.testing.assert_array_equal(session.run(["y"], {"x": x})[0], x)
        node = f"plain/{NODE}"
        eventually(lambda: stats()[node]["audit"]["audited"] == 100)
        told = stats()[node]["audit"]
    assert told["differed"] == int((x[:, 0] < 0).sum()) and told["alarm"] and told["promised"] == 0.01
