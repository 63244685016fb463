"""`cascade(…, speculate=True)`: the remote starts at once, and what comes out is what comes out without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from tests.computed import LEVELS, computed, options
from tests.remote_graphs import remote_graphs
from tests.servers.echo import echo_server, heard, remote
from tests.servers.raw import RawServer, answer, silence
from tests.strategies import Array, dense, rows
from tests.test_begin import Gate

LOCAL = dense("local", "x", "y", (3, 3), softmax=True)
JUDGE = oh.judge.max_probability("y") >= oh.Input("threshold", default=0.5)
ACCEPT, REFUSE = (np.array([threshold], np.float32) for threshold in (0.0, 1.5))
X = rows(4, 3)
BUSY = answer(b'{"error": "no"}', status="400 Bad Request")


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with echo_server() as serving:
        yield serving


def both(cloud: oh.Model, **options: Any) -> tuple[oh.Session, oh.Session]:
    """Sessions of a cascade without and with speculation."""
    plain, ahead = (oh.cascade(LOCAL, cloud, JUDGE, speculate=speculate, **options) for speculate in (False, True))
    assert not oh.validate(ahead).errors
    assert oh.overlap(ahead).to_proto() == ahead.to_proto()
    return oh.Session(plain), oh.Session(ahead)


def same(sessions: tuple[oh.Session, oh.Session], feeds: dict[str, Array]) -> None:
    for one, other in zip(*(session.run(None, feeds) for session in sessions), strict=True):
        np.testing.assert_array_equal(one, other)


def ahead(url: str, **options: Any) -> oh.Model:
    return oh.cascade(LOCAL, remote(url, "a", **options), JUDGE, speculate=True)


def threshold_of(share: float, x: Array = X) -> Array:
    """A threshold below which this share of the rows is."""
    probabilities = oh.Session(LOCAL).run(None, {"x": x})[0].max(axis=1)
    return np.array([np.quantile(probabilities, share)], np.float32)


def test_a_run_whose_local_answer_is_accepted_does_not_wait_and_drops_the_call() -> None:
    gate = Gate()
    with echo_server(gate.watch) as server:
        session = oh.Session(ahead(server.url, timeout=300.0))
        (found,) = session.run(None, {"x": X, "threshold": ACCEPT})
        np.testing.assert_array_equal(found, oh.Session(LOCAL).run(None, {"x": X})[0])
        assert gate.has_lost_its_client()
        assert session.stats()["remote/a"].errors == {"OH514": 1}


@pytest.mark.parametrize("rows", [False, True])
def test_a_failure_of_the_remote_counts_only_where_it_is_needed(rows: bool) -> None:
    with echo_server(BUSY) as server:
        session = oh.Session(oh.cascade(LOCAL, remote(server.url, "a"), JUDGE, speculate=True, rows=rows))
        for _ in range(3):
            session.run(None, {"x": X, "threshold": ACCEPT})
        with pytest.raises(oh.RemoteStatusError, match="OH503") as caught:
            session.run(None, {"x": X, "threshold": REFUSE})
    assert caught.value.node == "remote/a"
    denied = oh.Session(ahead("http://127.0.0.1:1"), policy=oh.Policy(deny=["127.0.0.1"]))
    denied.run(None, {"x": X, "threshold": ACCEPT})
    with pytest.raises(oh.PolicyDenied):
        denied.run(None, {"x": X, "threshold": REFUSE})


@settings(max_examples=15)
@given(st.integers(0, 4), st.integers(0, 4), st.booleans(), st.booleans(), st.booleans())
def test_what_comes_out_is_what_comes_out_without_it(
    count: int, refused: int, rows_: bool, report: bool, flag: bool
) -> None:
    x = rows(count, 3, 1)
    with echo_server() as server:
        cloud = remote(server.url, "a", on_error="flag" if flag else "raise")
        feeds = {"x": x, "threshold": threshold_of(refused / 4, x) if count else REFUSE}
        same(both(cloud, rows=rows_, report=report), feeds)


def test_all_rows_are_sent_ahead_in_one_request(server: RawServer) -> None:
    plain, early = both(remote(server.url, "a"), rows=True)
    heard(server)
    feeds = {"x": X, "threshold": threshold_of(0.5)}
    same((plain, early), feeds)
    sizes = sorted(len(request.split(b"\r\n\r\n", 1)[1]) for request in heard(server).elements())
    assert sizes[1] - sizes[0] == 2 * X[0].nbytes


@pytest.mark.parametrize("count", [1, 5])
def test_an_answer_with_other_rows_than_were_sent_is_refused(count: int) -> None:
    body = b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [%d, 3], "data": %s}]}'
    with echo_server(answer(body % (count, str([0.0] * 3 * count).encode()))) as server:
        cloud = oh.remote.triton(
            server.url, "a",
            inputs=[oh.TensorSpec("x", "float32", (None, 3))], outputs=[oh.TensorSpec("y", "float32", (None, 3))],
        )  # fmt: skip
        session = oh.Session(oh.cascade(LOCAL, cloud, JUDGE, speculate=True, rows=True))
        with pytest.raises(oh.Error, match="OH546"):
            session.run(None, {"x": X, "threshold": threshold_of(0.5)})


def test_a_flagged_failure_leaves_the_local_answer() -> None:
    with echo_server(BUSY) as server:
        sessions = both(remote(server.url, "a", on_error="flag"), rows=True)
        for threshold in (ACCEPT, threshold_of(0.5), REFUSE):
            same(sessions, {"x": X, "threshold": threshold})


def test_what_needs_another_answer_starts_when_that_is_there(server: RawServer) -> None:
    first = oh.chain(dense("pre", "x", "u", (3, 3), seed=1), remote(server.url, "a").rename({"x": "u", "y": "v"}))
    second = oh.chain(dense("mid", "v", "w", (3, 3), seed=2), remote(server.url, "b").rename({"x": "w"}))
    cloud = oh.chain(first, second)
    for threshold in (ACCEPT, REFUSE):
        same(both(cloud), {"x": X, "threshold": threshold})
    model = oh.cascade(LOCAL, cloud, JUDGE, speculate=True)
    assert [node.op_type for node in model.skeleton.graph.node].count("Begin") == 1
    assert len(model.remotes) == 2
    heard(server)
    oh.Session(model).run(None, {"x": X, "threshold": ACCEPT})
    assert sum(b"/models/b/" in request for request in heard(server)) == 0


def test_a_remote_that_calls_nobody_is_left_as_it_is() -> None:
    cloud = dense("cloud", "x", "y", (3, 3), seed=3)
    plain, early = (oh.cascade(LOCAL, cloud, JUDGE, speculate=speculate) for speculate in (False, True))
    assert plain.to_proto() == early.to_proto()


def test_speculation_goes_on_inside_of_other_combinators(server: RawServer) -> None:
    inner = {kind: oh.cascade(LOCAL, remote(server.url, "a"), JUDGE, speculate=kind) for kind in (False, True)}
    wide = dense("wide", "x", "z", (3, 2))
    ways: dict[str, Callable[[oh.Model], oh.Model]] = {
        "chain": lambda model: oh.chain(model, dense("after", "y", "q", (3, 2))),
        "parallel": lambda model: oh.parallel(a=model, b=wide, c=remote(server.url, "b")),
        "switch": lambda model: oh.switch("c", model, LOCAL),
        "cascade": lambda model: oh.cascade(LOCAL, model, oh.judge.logit_max("y") >= 1.1),
        "cascade ahead": lambda model: oh.cascade(
            LOCAL, model, oh.judge.logit_max("y") >= oh.Input("first", default=1.1), speculate=True
        ),
        "fallback": lambda model: oh.fallback(model, LOCAL),
        "ensemble": lambda model: oh.ensemble([model, LOCAL]),
        "route": lambda model: oh.route("which", [model, LOCAL]),
        "local": lambda model: oh.cascade(model, remote(server.url, "c"), oh.judge.logit_max("y") >= 1.1),
    }
    for name, way in ways.items():
        plain, early = (way(inner[kind]) for kind in (False, True))
        assert oh.overlap(early).to_proto() == oh.overlap(oh.overlap(early)).to_proto(), name
        sessions = oh.Session(plain), oh.Session(early)
        known = {argument.name for argument in sessions[0].get_inputs()}
        for threshold in (ACCEPT, REFUSE):
            feeds = {"x": X, "threshold": threshold, "c": np.array(True), "which": np.array(0)}
            same(sessions, {key: feed for key, feed in feeds.items() if key in known or key == "threshold"})


def test_a_speculative_call_that_nobody_answers_ends_at_its_deadline() -> None:
    with echo_server(silence) as server:
        session = oh.Session(ahead(server.url, timeout=0.2))
        session.run(None, {"x": X, "threshold": ACCEPT})
        with pytest.raises(oh.RemoteTimeout, match="OH502"):
            session.run(None, {"x": X, "threshold": REFUSE})


@pytest.mark.parametrize("level", LEVELS)
def test_the_request_goes_out_before_anything_local_runs(server: RawServer, tmp_path: Path, level: object) -> None:
    feeds = {"x": X, "threshold": REFUSE}
    order = computed(ahead(server.url), feeds, options(level), tmp_path)
    assert order[0] == "remote/a"
    assert order.index("remote/a/await") > max(position for position, name in enumerate(order) if "local/" in name)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_remote_gives_the_same_and_where_it_is_needed_sends_the_same(data: st.DataObject) -> None:
    with echo_server() as server:
        cloud = data.draw(remote_graphs(server.url))
        (name, *_) = (spec.name for spec in cloud.outputs)
        parts = LOCAL, cloud.select([name]).rename({name: "y"}), JUDGE
        sessions = [oh.Session(oh.cascade(*parts, speculate=speculate)) for speculate in (False, True)]
        feeds = {"x": X, "w": rows(4, 3, 1), "c": np.array(data.draw(st.booleans())), "d": np.array(True)}
        known = {argument.name for argument in sessions[0].get_inputs()} | {"threshold"}
        for threshold in (REFUSE, ACCEPT):  # what was cancelled may be heard later, so it comes last
            fed = {key: feed for key, feed in {**feeds, "threshold": threshold}.items() if key in known}
            found = [(session.run(None, fed), heard(server)) for session in sessions]
            for one, other in zip(*(values for values, _ in found), strict=True):
                np.testing.assert_array_equal(one, other)
            assert threshold is ACCEPT or found[0][1] == found[1][1]
