"""What a calibration asks of a remote: each row once, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

import onnxhybrid as oh
from tests.cascades import cascade, drawn
from tests.servers.counted import Counted, Row, counted

ROWS = 600
DATA, LABELS = drawn(ROWS, 21)
EVERY = {tuple(row) for row in DATA.tolist()}


@pytest.fixture
def server() -> Iterator[Counted]:
    with counted() as found:
        yield found


def calibrate(
    server: Counted, *, rows: bool = True, data: object = DATA, labels: object = LABELS, record: Path | None = None,
    progress: bool = False, **options: object,
) -> oh.Calibration:  # fmt: skip
    hybrid = cascade(rows=rows, asked=server.remote(**options))
    return oh.calibrate(hybrid, data, labels, loss=0.05, record=record, progress=progress)


@pytest.mark.parametrize("rows", [True, False])
def test_each_row_is_asked_once(server: Counted, rows: bool) -> None:
    calibrate(server, rows=rows)
    assert server.asked == dict.fromkeys(EVERY, 1)


@pytest.mark.parametrize("rows", [True, False])
def test_what_a_record_holds_is_never_asked_again(server: Counted, rows: bool, tmp_path: Path) -> None:
    first = calibrate(server, rows=rows, record=tmp_path / "asked")
    again = calibrate(server, rows=rows, record=tmp_path / "asked")
    assert server.asked == dict.fromkeys(EVERY, 1)
    assert again.certificate == first.certificate
    assert [point.loss for point in again.points] == [point.loss for point in first.points]


def test_a_record_serves_other_labels_another_order_more_rows_and_another_judge(
    server: Counted, tmp_path: Path
) -> None:
    record = tmp_path / "asked"
    calibrate(server, data=DATA[:500], labels=LABELS[:500], record=record)
    order = np.random.default_rng(0).permutation(ROWS)
    shuffled = calibrate(server, data=DATA[order], labels=LABELS[order], record=record)
    assert shuffled.summary.remote_accuracy == np.mean(DATA[:, 2] == LABELS)
    calibrate(server, labels=None, data=iter([DATA[:7], DATA[7:]]), record=record)
    other = cascade(oh.judge.value("score") > oh.Input("limit", default=0.1), asked=server.remote())
    oh.calibrate(other, DATA, LABELS, record=record, progress=False)
    assert server.asked == dict.fromkeys(EVERY, 1)


def test_a_row_that_comes_again_is_asked_once_where_there_is_a_record(server: Counted, tmp_path: Path) -> None:
    twice = np.concatenate([DATA[:200], DATA[:200], DATA])
    found = calibrate(
        server, data=twice, labels=np.concatenate([LABELS[:200], LABELS[:200], LABELS]), record=tmp_path / "r"
    )
    assert server.asked == dict.fromkeys(EVERY, 1)
    assert found.summary.rows == len(twice)
    assert found.summary.remote_accuracy == np.mean(twice[:, 2] == np.concatenate([LABELS[:200], LABELS[:200], LABELS]))


def test_rows_of_failed_calls_count_apart_and_are_asked_again(server: Counted, tmp_path: Path) -> None:
    server.fails = lambda number, rows: number % 5 == 0
    first = calibrate(server, rows=False, record=tmp_path / "asked")
    assert first.summary.failed == server.requests // 5
    assert first.summary.rows == ROWS - first.summary.failed
    server.fails = lambda number, rows: False
    again = calibrate(server, rows=False, record=tmp_path / "asked")
    assert again.summary.failed == 0
    assert sum(server.asked.values()) == ROWS + first.summary.failed
    assert again.summary.remote_accuracy == np.mean(DATA[:, 2] == LABELS)


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("selected", [True, False])
def test_flagged_failures_leave_the_local_answer_and_are_no_agreement(
    server: Counted, rows: bool, selected: bool
) -> None:
    first = tuple(DATA[0].tolist())
    server.fails = lambda number, asked: first in asked if rows else number % 4 == 0
    hybrid = cascade(rows=rows, asked=server.remote(on_error="flag"))
    hybrid = hybrid.select(["label"]) if selected else hybrid
    found = oh.calibrate(hybrid, DATA, output="label", progress=False, loss=0.05)
    failed = ROWS // 4 if not rows else 256
    assert (found.summary.rows, found.summary.failed) == (ROWS - failed, failed)
    agreed = found.summary.local_accuracy * found.summary.rows
    assert agreed <= np.sum(DATA[:, 0] == DATA[:, 2])


def test_a_remote_that_never_answers_is_told_before_all_rows_are_asked(server: Counted) -> None:
    server.fails = lambda number, rows: True
    with pytest.raises(oh.Error, match="OH609") as raised:
        calibrate(server, rows=False)
    assert "500" in str(raised.value)
    assert server.requests < 30
    with pytest.raises(oh.Error, match="OH609"):
        calibrate(server, on_error="flag")


def test_a_stopped_calibration_goes_on_where_it_was(server: Counted, tmp_path: Path) -> None:
    def stopping() -> Iterator[npt.NDArray[np.float32]]:
        yield from np.split(DATA[:400], 20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(server, data=stopping(), labels=LABELS, record=tmp_path / "asked")
    before = sum(server.asked.values())
    assert before >= 300
    calibrate(server, record=tmp_path / "asked")
    again = sum(server.asked.values()) - ROWS
    assert again <= 100  # those whose calls were under way


PROGRAM = """
import sys
import numpy as np
import onnxhybrid as oh
hybrid, data, record = sys.argv[1:]
rows = np.load(data)
oh.calibrate(hybrid, ({"x": row[None]} for row in rows), record=record, progress=False, loss=0.05)
"""


def test_a_killed_calibration_goes_on_where_it_was(server: Counted, tmp_path: Path) -> None:
    record = tmp_path / "asked"
    cascade(asked=server.remote()).save(tmp_path / "hybrid.onnx")
    np.save(tmp_path / "rows.npy", DATA)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "hybrid.onnx"), str(tmp_path / "rows.npy"), str(record)]
    running = subprocess.Popen(command)

    def kill(number: int, rows: list[Row]) -> bool:
        if number == 300:
            os.kill(running.pid, signal.SIGKILL)
        return False

    server.fails = kill
    assert running.wait(60) == -signal.SIGKILL
    kept = len(record.read_bytes().splitlines()) - 1
    assert kept >= 290
    record.write_bytes(record.read_bytes() + b'{"rows": "00')  # a line that was being written
    found = calibrate(server, record=record)
    assert found.summary.rows == ROWS
    asked = server.asked
    assert set(asked) == EVERY
    assert sum(asked.values()) - ROWS <= 10  # what was under way when it was killed
    calibrate(server, record=record)
    assert server.asked == asked


@pytest.mark.parametrize("content", [b"", b'{"format": "onnxhyb', None])
def test_a_record_that_was_hardly_begun_is_begun_anew(server: Counted, tmp_path: Path, content: bytes | None) -> None:
    record = tmp_path / "asked"
    if content is None:
        calibrate(server, record=record)
        content = record.read_bytes()[:40]
    record.write_bytes(content)
    calibrate(server, record=record)
    calibrate(server, record=record)
    assert max(server.asked.values()) <= 2


def test_other_files_and_records_of_other_remotes_are_refused(server: Counted, tmp_path: Path) -> None:
    record = tmp_path / "asked"
    calibrate(server, record=record)
    before = record.read_bytes()
    moved = cascade(asked=server.remote()).retarget({server.url: "http://127.0.0.1:1"})
    with pytest.raises(oh.Error, match="OH610"):
        oh.calibrate(moved, DATA, LABELS, record=record, progress=False)
    assert record.read_bytes() == before
    for content in (b"my notes\n", b"[1]\n", b'{"format":"onnxhybrid.record","version":1}\n', b"no line"):
        (tmp_path / "notes").write_bytes(content)
        with pytest.raises(oh.Error, match="OH610"):
            calibrate(server, record=tmp_path / "notes")
        assert (tmp_path / "notes").read_bytes() == content
    with pytest.raises(oh.Error, match="OH610"):
        calibrate(server, record=tmp_path / "nowhere" / "asked")


def test_a_record_is_of_the_server_that_an_endpoints_name_stands_for(server: Counted, tmp_path: Path) -> None:
    hybrid = cascade(asked=server.remote(oh.Endpoint("gpu", default=server.url)))

    def calibrated(endpoints: dict[str, str] | None = None) -> None:
        oh.calibrate(
            hybrid, DATA, LABELS, loss=0.05, record=tmp_path / "asked", progress=False, endpoints=endpoints
        )  # fmt: skip

    calibrated()
    calibrated({"gpu": server.url})
    assert server.asked == dict.fromkeys(EVERY, 1)
    with counted() as other:
        with pytest.raises(oh.Error, match="OH610"):
            calibrated({"gpu": other.url})
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("ONNXHYBRID_ENDPOINT_GPU", other.url)
            with pytest.raises(oh.Error, match="OH610"):
                calibrated()


@pytest.mark.parametrize(
    "damage",
    [b"garbage\n", b"\n", b'{"rows": "abcd"}\n', b'{"rows": ""}\n', b"\xff\xfe\n", b"[" * 99999 + b"\n"],
    ids=["text", "nothing", "half a key", "no key", "no text", "deep"],
)
def test_what_is_no_line_of_a_record_costs_no_other_line(server: Counted, damage: bytes, tmp_path: Path) -> None:
    record = tmp_path / "asked"
    calibrate(server, record=record)
    head, *lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([head, lines[0], damage, *lines[1:], b"cut"]))
    calibrate(server, record=record)
    assert server.asked == dict.fromkeys(EVERY, 1)


@pytest.mark.parametrize("key", ["data", "dtype", "shape"])
def test_a_line_whose_answers_are_damaged_is_told(server: Counted, key: str, tmp_path: Path) -> None:
    record = tmp_path / "asked"
    calibrate(server, record=record)
    head, line, *more = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([head, line.replace(f'"{key}"'.encode(), b'"other"'), *more]))
    with pytest.raises(oh.Error, match="OH610"):
        calibrate(server, record=record)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind")
def test_a_record_is_held_by_one_calibration_at_a_time(server: Counted, tmp_path: Path) -> None:
    record = tmp_path / "asked"
    refused = []

    def batches() -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, ROWS, 200):
            with pytest.raises(oh.Error, match="OH610") as raised:
                calibrate(server, record=record)
            refused.append(raised)
            yield DATA[start : start + 200]

    calibrate(server, data=batches(), record=record)
    assert len(refused) == 3
    assert server.asked == dict.fromkeys(EVERY, 1)


def test_a_place_that_cannot_hold_a_record_is_told(server: Counted) -> None:
    with pytest.raises(oh.Error, match="OH610"):
        calibrate(server, record=Path(os.devnull))


def test_progress_tells_of_the_end_and_of_failures(server: Counted, capsys: pytest.CaptureFixture[str]) -> None:
    server.fails = lambda number, rows: number == 2
    calibrate(server, rows=False, progress=True)
    assert f"calibrated on {ROWS - 1} rows" in capsys.readouterr().err
    calibrate(server)
    assert capsys.readouterr() == ("", "")


def test_the_time_that_a_row_waits_is_that_of_its_requests(server: Counted) -> None:
    found = calibrate(server, rows=False)
    assert found.summary.request_time is not None
    assert found.points[0].latency == pytest.approx(found.summary.request_time)
    assert found.points[-1].latency == 0


def test_credentials_reach_the_remote_and_a_missing_one_is_no_failed_row(server: Counted) -> None:
    hybrid = cascade(asked=server.remote(auth=oh.Credential("gpu")))
    found = oh.calibrate(hybrid, DATA, LABELS, loss=0.05, progress=False, credentials={"gpu": "token-0123456789"})
    assert found.summary.failed == 0
    with pytest.raises(oh.CredentialError):
        oh.calibrate(hybrid, DATA, LABELS, loss=0.05, progress=False)


def test_options_of_a_session_reach_both_sessions_that_a_record_needs(server: Counted, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    given = {"sess_options": options, "policy": oh.Policy(max_concurrency=1), "providers": ["CPUExecutionProvider"]}
    hybrid = cascade(asked=server.remote(auth=oh.Credential("gpu")))
    credentials = {"gpu": "token-0123456789"}
    for rows in (400, ROWS):
        found = oh.calibrate(
            hybrid, DATA[:rows], LABELS[:rows], loss=0.05, progress=False, record=tmp_path / "asked",
            credentials=credentials, **given,
        )  # fmt: skip
        assert found.summary.rows == rows
    assert server.asked == dict.fromkeys(EVERY, 1)
    with pytest.raises(oh.PolicyDenied):
        oh.calibrate(cascade(asked=server.remote()), DATA, LABELS, progress=False, policy=oh.Policy(deny=["127.0.0.1"]))
