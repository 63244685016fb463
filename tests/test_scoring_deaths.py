"""A scoring that is killed, interrupted, or out of room: what is whole stays, and the same call goes on."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import onnxhybrid as oh
from tests import cascades
from tests.scoring import Array, failed, labels, results, rows, score, sent, table, written
from tests.servers.counted import Counted, Row, at, counted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals that kill")

BATCH, WORKERS = 8, 3
PROGRAM = textwrap.dedent(
    f"""
    import sys
    import onnxhybrid as oh
    model, source, target, record = sys.argv[1:]
    oh.score(model, source, target, key="id", batch={BATCH}, workers={WORKERS}, patience=0, progress=False,
             record=record or None)
    """
)


@contextmanager
def running(folder: Path, record: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that scores."""
    words = [folder / "hybrid.onnx", folder / "rows", folder / "out", record and folder / record]
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def prepared(folder: Path, server: Counted, count: int, files: int) -> Array:
    """A cascade and the rows that it scores, in several files."""
    x = rows(count)
    cascades.cascade(asked=server.remote()).save(folder / "hybrid.onnx")
    (folder / "rows").mkdir()
    for number, part in enumerate(np.array_split(np.arange(count), files)):
        pq.write_table(table(x).take(part), folder / "rows" / f"{number}.parquet")
    return x


def killed_often(folder: Path, kills: int, seed: int) -> None:
    """Kill a scoring again and again at a random request, and let it end at last."""
    random = np.random.default_rng(seed)
    with counted() as server:
        x = prepared(folder, server, 2400, 24)
        needed = sum(bool((part[:, 1] < 0.5).any()) for part in _slices(x, 24))
        for _ in range(kills):
            last = server.requests + int(random.integers(1, 2 * needed // kills + 2))
            with running(folder, "calls") as process:
                server.fails = at(last, process.kill)
                process.wait(60)
        server.fails = lambda _, __: False
        with running(folder, "calls") as process:
            _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told.decode()
        assert server.requests - needed <= kills * WORKERS
    found = results(folder / "out").sort_by("id")
    assert found["id"].to_pylist() == list(range(2400))
    assert found["label"].to_pylist() == labels(x)
    assert failed(folder / "out") == []


def _slices(x: Array, files: int) -> Iterator[Array]:
    for part in np.array_split(x, files):
        for start in range(0, len(part), BATCH):
            yield part[start : start + BATCH]


def test_a_killed_scoring_goes_on_and_pays_for_no_call_twice(tmp_path: Path) -> None:
    killed_often(tmp_path, kills=4, seed=1)


@pytest.mark.attack
@pytest.mark.parametrize("seed", range(3))
def test_twenty_kills_lose_no_row_and_double_none(tmp_path: Path, seed: int) -> None:
    killed_often(tmp_path, kills=20, seed=seed)


def test_two_processes_do_not_write_to_one_target(tmp_path: Path) -> None:
    with counted() as server:
        prepared(tmp_path, server, 100, 2)
        codes: list[str] = []

        def meanwhile(number: int, _: list[Row]) -> bool:
            if number == 1:
                with pytest.raises(oh.Error) as caught:
                    score(tmp_path / "hybrid.onnx", tmp_path / "rows", tmp_path / "out", batch=BATCH)
                codes.append(caught.value.code)
            return False

        server.fails = meanwhile
        with running(tmp_path) as process:
            assert process.wait(60) == 0
    assert codes == ["OH647"]


def test_ctrl_c_leaves_whole_pieces_and_ends_soon(tmp_path: Path) -> None:
    with counted() as server:
        x = prepared(tmp_path, server, 600, 6)
        with running(tmp_path) as process:
            server.fails = at(30, lambda: process.send_signal(signal.SIGINT))
            _, told = process.communicate(timeout=60)
        assert b"KeyboardInterrupt" in told
        assert not list((tmp_path / "out").glob(".*"))
        done = len(results(tmp_path / "out"))
        assert done % 100 == 0
        assert done < 600
        server.fails = lambda _, __: False
        summary = score(tmp_path / "hybrid.onnx", tmp_path / "rows", tmp_path / "out", batch=BATCH)
    assert summary.rows == 600
    assert results(tmp_path / "out").sort_by("id")["label"].to_pylist() == labels(x)


def test_a_full_disk_is_told_and_what_is_whole_stays(tmp_path: Path) -> None:
    x = rows(600)
    (tmp_path / "rows").mkdir()
    for number in range(6):
        pq.write_table(table(x).slice(100 * number, 100), tmp_path / "rows" / f"{number}.parquet")
    model = cascades.cascade()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1200, limits[1]))
        with pytest.raises(oh.Error) as caught:
            score(model, tmp_path / "rows", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.code == "OH652"
    assert os.strerror(errno.EFBIG) in caught.value.message
    assert not list((tmp_path / "out").glob("part-*"))
    assert not list((tmp_path / "out").glob(".part-*"))
    assert score(model, tmp_path / "rows", tmp_path / "out").rows == 600


def test_a_source_that_changes_while_it_is_scored_is_told(tmp_path: Path) -> None:
    x = rows(20_000)
    x[:, 1] = 1
    x[:64, 1] = 0  # four slices are sent, while most of the file is still to be read
    with counted() as server:
        source = written(tmp_path, x)
        server.fails = at(2, lambda: source.write_bytes(source.read_bytes() + b"more"))
        with pytest.raises(oh.Error, match="was changed while it was scored") as caught:
            score(cascades.cascade(asked=server.remote()), source, tmp_path / "out", workers=1)
    assert caught.value.code == "OH648"
    assert not list((tmp_path / "out").glob("part-*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_target_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(oh.Error, match="OH645"):
        score(cascades.cascade(), written(tmp_path, rows(3)), tmp_path / "out")


def test_a_target_that_is_a_file_or_a_url_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    source = written(tmp_path, rows(3))
    for target in (tmp_path / "out", "s3://bucket/out", 3, ""):
        with pytest.raises(oh.Error, match="OH645"):
            score(cascades.cascade(), source, target)  # type: ignore[arg-type]
    assert (tmp_path / "out").read_text() == "mine"


def test_a_piece_whose_failed_rows_were_left_half_done_is_whole_again(tmp_path: Path) -> None:
    x = rows(64)
    x[5, 1] = x[6, 1] = 0
    bad = {tuple(x[5].tolist())}
    with counted() as server:
        model, source = cascades.cascade(asked=server.remote()), written(tmp_path, x)
        server.fails = lambda _, asked: not bad.isdisjoint(asked)
        score(model, source, tmp_path / "out")
        (stale,) = (tmp_path / "out" / "_failed").glob("*.parquet")
        kept = stale.read_bytes()
        server.fails = lambda _, __: False
        score(model, source, tmp_path / "out")
        stale.write_bytes(kept)  # as where a process died after the piece was put into place
        summary = score(model, source, tmp_path / "out")
    assert summary.failed == 0
    assert failed(tmp_path / "out") == []
    assert results(tmp_path / "out")["id"].to_pylist() == list(range(64))
    assert summary.sent == sent(x)


def test_a_part_that_vanished_is_scored_anew(tmp_path: Path) -> None:
    x = rows(64)
    x[5, 1] = 0
    bad = {tuple(x[5].tolist())}
    with counted() as server:
        model, source = cascades.cascade(asked=server.remote()), written(tmp_path, x)
        server.fails = lambda _, asked: not bad.isdisjoint(asked)
        score(model, source, tmp_path / "out")
        (tmp_path / "out" / "part-000000.parquet").write_bytes(b"no Parquet")
        server.fails = lambda _, __: False
        assert score(model, source, tmp_path / "out").failed == 0
    assert results(tmp_path / "out")["id"].to_pylist() == list(range(64))
    assert failed(tmp_path / "out") == []


def test_a_record_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("mine")
    with pytest.raises(oh.Error, match="OH654"):
        score(cascades.cascade(), written(tmp_path, rows(3)), tmp_path / "out", record=tmp_path / "calls")
