"""What all tests share: the real Triton server, and how Hypothesis searches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.servers import ray_cluster
from tests.servers.triton import TritonServer, serve, unsupported

# A machine under load is no failure, and a failure is printed so that it can be repeated.
settings.register_profile("onnxhybrid", deadline=None, print_blob=True)
settings.load_profile("onnxhybrid")

_DESELECTED = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def triton() -> Iterator[TritonServer]:
    """The real Triton server with the models of tests/servers/models, one for the whole run."""
    with serve() as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Ray with a cluster of this machine, one for the whole run."""
    if reason := ray_cluster.unsupported():
        pytest.skip(reason)
    with ray_cluster.cluster() as ray:
        yield ray


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses the real server; take it out where the server cannot run."""
    conformance = [item for item in items if "triton" in getattr(item, "fixturenames", ())]
    for item in conformance:
        item.add_marker("triton")
    if unsupported() and conformance:
        config.hook.pytest_deselected(items=conformance)
        config.stash[_DESELECTED] = len(conformance)
        items[:] = [item for item in items if item not in conformance]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say aloud what did not run."""
    count = config.stash.get(_DESELECTED, 0)
    if count:
        terminalreporter.write_line(f"{count} tests against the real Triton server did not run: {unsupported()}")
