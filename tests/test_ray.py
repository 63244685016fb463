"""`engine="ray"`: results as on one machine, limits over all workers, and deaths that lose and double nothing."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import onnxhybrid as oh
from onnxhybrid.cluster.audits import merged
from onnxhybrid.cluster.broking import close_broker, open_broker
from onnxhybrid.cluster.share import Share
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.scoring.ray import engine
from tests import cascades
from tests.audits import NODE, audited, differ
from tests.remotes import X, adder, reply
from tests.scoring import labels, results, rows, score, sent, table, written
from tests.servers.counted import Counted, counted
from tests.servers.raw import answer, raw_server

SOON = 20.0
"""Seconds that a thing which happens at once may take on a machine under load."""


@dataclass
class Crowd(Counted):
    """A server that answers a request when `full` are there, or soon; and counts the most that were at once."""

    full: int = 1
    most: int = 0
    now: int = 0
    _more: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, connection: socket.socket, request: bytes) -> None:
        """Answer, when it is time."""
        with self._more:
            self.now += 1
            self.most = max(self.most, self.now)
            self._more.notify_all()
            self._more.wait_for(lambda: self.now >= self.full, 0.2)
            self.now -= 1
        super().answer(connection, request)


@contextlib.contextmanager
def crowd(full: int) -> Iterator[Crowd]:
    server = Crowd(full=full)
    with raw_server(server.answer) as raw:
        server.url = raw.url
        yield server


def many(folder: Path, x: Any, *, files: int = 16) -> Path:
    """A folder of files, each of which is a piece, so that there is work for both workers."""
    (folder / "rows").mkdir()
    whole = table(x)
    for number, places in enumerate(np.array_split(np.arange(len(x)), files)):
        pq.write_table(whole.slice(places[0], len(places)), folder / "rows" / f"{number:03d}.parquet")
    return folder / "rows"


def test_results_are_those_of_the_local_engine_and_limits_hold_over_all_workers(cluster: Any, tmp_path: Path) -> None:
    x = rows(600)
    with crowd(3) as server:
        model, source = cascades.cascade(asked=server.remote()), many(tmp_path, x)
        here = score(model, source, tmp_path / "here", policy=oh.Policy(max_concurrency=3))
        needed, server.requests, server.most = server.requests, 0, 0
        policy = oh.Policy(max_concurrency=3, budget={"calls": needed})
        there = score(model, source, tmp_path / "there", engine="ray", policy=policy)
        assert (server.requests, server.most) == (needed, 3)
    assert results(tmp_path / "there").equals(results(tmp_path / "here"))
    assert (there.rows, there.failed, there.sent) == (here.rows, 0, sent(x))


def test_a_budget_that_is_used_up_by_all_workers_together_stops_all(cluster: Any, tmp_path: Path) -> None:
    x = rows(800)
    with counted() as server:
        model, source = cascades.cascade(asked=server.remote()), many(tmp_path, x)
        with pytest.raises(oh.PolicyDenied) as caught:
            score(model, source, tmp_path / "out", engine="ray", policy=oh.Policy(budget={"calls": 20}))
        assert caught.value.code == "OH521"
        assert "all workers" in str(caught.value)
        assert server.requests <= 20
        score(model, source, tmp_path / "out", engine="ray")
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)


class Asking:
    """An actor whose session has a share of a policy's limits."""

    def __init__(self, broker: Any, policy: Policy, url: str) -> None:
        self._share = Share(broker, policy)
        # A broker that was killed is back in seconds on a busy machine, and a call waits for it.
        self._session = oh.Session(adder(url, timeout=30.0), policy=self._share.policy)
        self._share.belongs_to(self._session)

    def ask(self, most: int) -> int:
        """Ask until refused, or so often; how often it went well."""
        for count in range(most):
            try:
                self._session.run(None, {"x": X})
            except oh.PolicyDenied as problem:
                assert problem.code == "OH521"
                return count
        return most

    def settle(self) -> None:
        """Give back what was not used."""
        self._share.settle()

    def concurrency(self) -> int | None:
        """How many requests it may have under way."""
        return self._share.policy.max_concurrency

    def pid(self) -> int:
        """Its process."""
        return os.getpid()


@contextlib.contextmanager
def brokered(ray: Any, policy: Policy, workers: int) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    """A broker, and what makes workers that ask a server."""
    broker = open_broker(policy, workers)
    made: list[Any] = []

    def worker(url: str) -> Any:
        made.append(ray.remote(Asking).options(num_cpus=0).remote(broker, policy, url))
        return made[-1]

    try:
        yield broker, worker
    finally:
        for each in made:
            ray.kill(each)
        close_broker(broker)


def test_a_broker_that_is_killed_comes_back_and_knows_what_was_spent(cluster: Any) -> None:
    with (
        raw_server(answer(reply())) as server,
        brokered(cluster, oh.Policy(budget={"calls": 30}), 2) as (broker, worker),
    ):
        one, two = worker(server.url), worker(server.url)
        assert cluster.get([one.ask.remote(10), two.ask.remote(10)]) == [10, 10]
        cluster.get([one.settle.remote(), two.settle.remote()])
        os.kill(cluster.get(broker.pid.remote()), signal.SIGKILL)
        asked = sum(cluster.get([one.ask.remote(100), two.ask.remote(100)]))
        assert len(server.requests) == 20 + asked
        assert asked <= 10, "the limit is not passed"
        assert asked >= 5, "what was given back in time is there"


def test_a_worker_that_is_killed_makes_room_and_what_it_held_counts_as_spent(cluster: Any) -> None:
    policy = oh.Policy(max_concurrency=1, budget={"calls": 40})
    with raw_server(answer(reply())) as server, brokered(cluster, policy, 2) as (_, worker):
        one = worker(server.url)
        assert cluster.get(one.ask.remote(5)) == 5
        two = worker(server.url)
        waits = two.concurrency.remote()
        assert cluster.wait([waits], timeout=0.5) == ([], [waits]), "there is one place"
        os.kill(cluster.get(one.pid.remote()), signal.SIGKILL)
        assert cluster.get(waits, timeout=SOON) == 1
        rest = cluster.get(two.ask.remote(100))
        assert 5 + rest == len(server.requests) <= 40
        assert rest >= 20, "a worker holds a small part at a time"


def killer(kills: int, every: int) -> Callable[[int, object], bool]:
    """What kills a worker while its requests are under way: so often, each after so many more requests."""
    chance, due = random.Random(17), iter([every * (kill + 1) for kill in range(kills)])
    following = [next(due)]

    def strike(number: int, _: object) -> bool:
        if number >= following[0] and (pids := scoring_workers()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)
            following[0] = next(due, 1 << 62)
        return False

    return strike


def scoring_workers() -> list[int]:
    """The processes of workers that score at the moment."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            title = (path / "cmdline").read_bytes() if path.name.isdigit() else b""
            if title.startswith(b"ray::Worker"):
                found.append(int(path.name))
    return sorted(found)


def killed_while_scoring(tmp_path: Path, kills: int, x: Any) -> Counter[tuple[float, ...]]:
    """Score on Ray while workers are killed; what the server was asked."""
    with crowd(4) as server:
        server.fails = killer(kills, sent(x) // 16 // (kills + 1))
        model, source = cascades.cascade(asked=server.remote()), many(tmp_path, x)
        score(model, source, tmp_path / "out", engine="ray", workers=2, record=tmp_path / "record")
    found = results(tmp_path / "out")
    assert found["id"].to_pylist() == list(range(len(x)))
    assert found["label"].to_pylist() == labels(x)
    return server.asked


def test_a_worker_that_is_killed_loses_and_doubles_no_row_and_a_record_saves_calls(
    cluster: Any, tmp_path: Path
) -> None:
    x = rows(1500)
    asked = killed_while_scoring(tmp_path, 2, x)
    beyond = asked.total() - sent(x)
    slices = 2 * (2 + 2 * 2)  # of two kills: in both pieces, those that are asked for and the ones behind them
    assert 0 <= beyond <= slices * 16
    assert len(asked) == sent(x)


@pytest.mark.attack
def test_twenty_deaths_of_workers_lose_and_double_no_row(cluster: Any, tmp_path: Path) -> None:
    x = rows(8000)
    asked = killed_while_scoring(tmp_path, 20, x)
    assert len(asked) == sent(x)
    assert asked.total() - sent(x) <= 20 * (2 + 2 * 2) * 16


DRIVER = """
import sys
import onnxhybrid as oh
import ray
ray.init(address=sys.argv[4], logging_level="error", log_to_driver=False)
oh.score(sys.argv[1], sys.argv[2], sys.argv[3], key="id", batch=16, progress=False, engine="ray", workers=2,
         record=sys.argv[3] + ".record")
"""


def test_a_driver_that_is_killed_is_resumed(cluster: Any, tmp_path: Path) -> None:
    x = rows(1000)
    with crowd(8) as server:
        cascades.cascade(asked=server.remote()).save(tmp_path / "hybrid.onnx")
        paths = [str(tmp_path / "hybrid.onnx"), str(many(tmp_path, x)), str(tmp_path / "out")]
        address = cluster.get_runtime_context().gcs_address
        driver = subprocess.Popen([sys.executable, "-c", DRIVER, *paths, address])
        waited = threading.Event()
        while len(server.asked) < 150:
            assert driver.poll() is None
            waited.wait(0.01)
        driver.kill()
        driver.wait()
        while scoring_workers():  # Ray ends those of a driver that is gone
            waited.wait(0.05)
        assert len(server.asked) < sent(x)
        score(*paths, engine="ray", workers=2, record=tmp_path / "out.record")  # type: ignore[arg-type]
    assert results(tmp_path / "out")["id"].to_pylist() == list(range(1000))
    assert results(tmp_path / "out")["label"].to_pylist() == labels(x)
    assert server.asked.total() - sent(x) <= 2 * (2 + 2 * 2) * 16


@pytest.mark.parametrize("recorded", [False, True])
def test_a_calibration_on_ray_is_the_one_on_this_machine(cluster: Any, tmp_path: Path, recorded: bool) -> None:
    chance = np.random.default_rng(7)
    x = cascades.table(chance.integers(0, 3, 600), chance.random(600), chance.integers(0, 3, 600))
    with counted() as server:
        model = cascades.cascade(asked=server.remote(batch=0))
        options: dict[str, Any] = {"loss": 0.3, "batch": 50, "progress": False, "cost": 0.01}
        if recorded:  # half of the rows are known
            oh.calibrate(model, x[:300], record=tmp_path / "record", **options)
        here = oh.calibrate(model, x, **options)
        kept: dict[str, Any] = {"record": tmp_path / "record"} if recorded else {}
        policy = oh.Policy(max_concurrency=2, budget={"calls": 24})  # 12, and room for repeats
        there = oh.calibrate(model, x, engine="ray", policy=policy, **kept, **options)
    assert there.certificate == here.certificate is not None
    assert [point_without_time(point) for point in there.points] == [point_without_time(point) for point in here.points]
    assert there.threshold == here.threshold


def point_without_time(point: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(point).items() if name != "latency"}


@pytest.mark.parametrize("options", [{"credentials": {"cloud": "s3cret"}}, {"sess_options": object()}])
def test_what_cannot_be_sent_to_workers_is_refused_before_anything_starts(tmp_path: Path, options: Any) -> None:
    x = rows(20)
    codes = {"OH671", "OH650", "OH607"}
    for run in (
        lambda: score(cascades.cascade(), written(tmp_path, x), tmp_path / "out", engine="ray", **options),
        lambda: oh.calibrate(cascades.cascade(), x, engine="ray", progress=False, **options),
    ):
        with pytest.raises(oh.Error) as caught:
            run()
        assert caught.value.code in codes
        assert "s3cret" not in str(caught.value)


def test_credentials_come_from_the_environment_of_the_workers(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rows(40)
    with counted() as server:
        model = cascades.cascade(asked=server.remote(auth=oh.Credential("nobody_has_it")))
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_NOBODY_HAS_IT", "the driver's is not theirs")
        with pytest.raises(oh.CredentialError) as caught:
            score(model, written(tmp_path, x), tmp_path / "out", engine="ray")
    assert caught.value.code == "OH510"


def test_a_worker_that_cannot_work_ends_the_scoring_with_a_code(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_ATTEMPTS", 0)

    def deadly(number: int, _: object) -> bool:
        for pid in scoring_workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return False

    with counted() as server:
        server.fails = deadly
        model, source = cascades.cascade(asked=server.remote()), many(tmp_path, rows(400))
        with pytest.raises(oh.Error) as caught:
            score(model, source, tmp_path / "out", engine="ray", workers=1)
    assert caught.value.code == "OH673"


def test_a_cluster_that_is_not_there_is_told() -> None:
    script = "import onnxhybrid.cluster.connection as c; c.connected('it')"
    environment = {**os.environ, "RAY_ADDRESS": "nosuch://cluster"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "OH672" in done.stderr


class Auditing:
    """An actor whose session audits."""

    def __init__(self, model: Path) -> None:
        self._session = oh.Session(model)

    def run(self, x: Any) -> Any:
        """Run rows, and tell what the audits found when all were asked."""
        self._session.run(None, {"x": x})
        waited = threading.Event()
        while self._session.audit()[NODE].audited < len(x):
            waited.wait(0.01)
        return self._session.audit()


def test_audits_of_actors_are_merged_into_one_verdict(cluster: Any, tmp_path: Path) -> None:
    with raw_server(differ) as server:
        audited(server.url, rows=True).save(tmp_path / "audited.onnx")
        actors = [cluster.remote(Auditing).options(num_cpus=0).remote(tmp_path / "audited.onnx") for _ in range(2)]
        x = np.array([[-1.0, 0, 0]] * 6 + [[1.0, 0, 0]] * 2, np.float32)
        found = cluster.get([actor.run.remote(x) for actor in actors], timeout=SOON)
    verdict = merged(found)[NODE]
    assert (verdict.audited, verdict.differed) == (16, 12)
    assert verdict.low > max(each[NODE].low for each in found)
