"""Every fault of a server, in every protocol that can meet it: the right value or a coded error, by the deadline."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxhybrid as oh
from tests.dialects import DIALECTS, Dialect
from tests.servers.faults import SECRET, VALUE, Fault, faulty_server
from tests.servers.faults.answers import LIMIT
from tests.servers.faults.certificates import AUTHORITY

PATIENCE = 20.0
"""Seconds that a call has which does not hang: far more than it needs, on a machine under load too."""

SHORT = 0.25
"""The deadline of a call that hangs."""

Case = tuple[Dialect, Fault]
CASES: list[Case] = [(dialect, fault) for dialect in DIALECTS for fault in dialect.faults]


@dataclass(frozen=True)
class Outcome:
    """How two calls ended, the first of which met a fault."""

    first: str
    second: str
    seconds: float
    told: str
    """Everything that was said of them."""


def name(case: Case) -> str:
    """The test's own name."""
    dialect, fault = case
    return f"{dialect.name}: {fault.name}"


class _Kept(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self.emit = records.append  # type: ignore[assignment]


@pytest.fixture(scope="module")
def log() -> Iterator[list[logging.LogRecord]]:
    """What is logged while the faults are met."""
    records: list[logging.LogRecord] = []
    handler = _Kept(records)
    logger = logging.getLogger("onnxhybrid")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False  # there is much of it
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, log: list[logging.LogRecord]
) -> Iterator[dict[str, Future[list[Outcome]]]]:
    """The cases that were chosen, met side by side, since those that hang take their time."""
    authority = tmp_path_factory.mktemp("faults") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(authority)
    chosen = [item.callspec.params["case"] for item in request.session.items if item.name.startswith(MEETS)]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(16) as pool:
        # Those that hang come first, and keep nobody waiting in the end.
        chosen.sort(key=lambda case: not case[1].hangs)
        yield {name(case): pool.submit(_meet, case, authority) for case in chosen}


def _meet(case: Case, authority: Path) -> list[Outcome]:
    """The outcomes with a failure that is raised, and with one that is flagged."""
    return [_outcome(case, authority, on_error) for on_error in ("raise", "flag")]


def _outcome(case: Case, authority: Path, on_error: str) -> Outcome:
    dialect, fault = case
    options: dict[str, Any] = {
        "timeout": SHORT if fault.hangs else PATIENCE,
        "connect_timeout": PATIENCE,
        "retries": fault.retries,
        "on_error": on_error,
        "auth": oh.Credential("key"),
    }
    policy = oh.Policy(max_response_bytes=LIMIT, ca_file=authority if fault.tls else None)
    with faulty_server(fault, dialect.good, grpc=dialect.scheme == "grpc") as server:
        model = dialect.build(f"{dialect.scheme}{'s' if fault.tls else ''}://{server}", **options)
        session = oh.Session(model, credentials={"key": SECRET}, policy=policy, sess_options=_alone())
        began = time.monotonic()
        first, told = _call(session, dialect)
        seconds = time.monotonic() - began
        second, more = _call(session, dialect)
        outcome = Outcome(first, second, seconds, f"{told} {more} {session!r} {session.stats()!r}")
        del session  # whose connections end with it
        return outcome


def _alone() -> onnxruntime.SessionOptions:
    """Options without threads of a session's own, of which there would be thousands."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def _call(session: oh.Session, dialect: Dialect) -> tuple[str, str]:
    """VALUE, "another value" or a code; and what was said of a failure."""
    try:
        output, *flags = session.run(None, dialect.feeds)
    except oh.RemoteError as problem:
        return problem.code, f"{problem} {problem!r} {problem.__cause__!r} {vars(problem)}"
    if flags and not flags[0]:
        return str(flags[2])[1:6], f"{flags[2]} {flags[1]}"
    return _judged(output, dialect.value), ""


def _judged(output: Any, right: Any) -> str:
    same = output.dtype == right.dtype and output.shape == right.shape and np.array_equal(output, right)
    return VALUE if same else f"another value: {output!r}"


MEETS = "test_a_fault_ends_in_the_right_value_or_a_coded_error_by_the_deadline"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_fault_ends_in_the_right_value_or_a_coded_error_by_the_deadline(
    case: Case, outcomes: dict[str, Future[list[Outcome]]]
) -> None:
    _, fault = case
    for outcome in outcomes[name(case)].result():
        assert outcome.first in fault.ends
        assert outcome.second == VALUE or (fault.hangs and outcome.second == "OH502")
        assert outcome.seconds < PATIENCE
        assert all(SECRET[at : at + 12] not in outcome.told for at in range(len(SECRET) - 11))


def test_no_secret_is_logged(outcomes: dict[str, Future[list[Outcome]]], log: list[logging.LogRecord]) -> None:
    assert [future.result() for future in outcomes.values()]
    assert not [record for record in log if SECRET[:12] in f"{record.getMessage()} {vars(record)}"]


def test_there_are_hundreds_of_faults() -> None:
    faults = {(dialect.scheme, fault.name) for dialect in DIALECTS for fault in dialect.faults}
    assert len(faults) > 300
    for dialect in DIALECTS:
        names = [fault.name for fault in dialect.faults]
        assert len(names) == len(set(names)), dialect.name
        assert all(fault.ends for fault in dialect.faults)
