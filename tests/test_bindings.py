"""Every kind of hybrid from other languages: sessions in which one library was registered, and nothing else prepared.

What comes out is what `oh.Session` gives, bit by bit, and where that fails, the code of the failure. Sessions are given
their settings and thresholds through ONNX Runtime's own interface.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bindings import c, go, java, python, rust
from tests.bindings.given import FED
from tests.bindings.suite import NAMES, Suite, differences, made, served

BINDINGS = {"Python": python, "Java": java, "C": c, "Go": go, "Rust": rust}
TOGETHER = "together"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with served() as servers:
        yield made(tmp_path_factory.mktemp("suite") / "set", servers)


@pytest.fixture(scope="module", params=BINDINGS)
def ran(request: pytest.FixtureRequest, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What differs, by the names of the hybrids, once all were run by one language's program."""
    binding = BINDINGS[request.param]
    if missing := binding.unsupported():
        pytest.skip(f"no {request.param} here: {missing}")
    results = tmp_path_factory.mktemp(request.param)
    suite.run(binding.command(tmp_path_factory.mktemp("program")), results)
    return differences(suite, results)


@pytest.mark.parametrize("name", [name for name in NAMES if name != FED])
def test_a_file_runs_elsewhere_as_it_runs_here(ran: dict[str, str], name: str) -> None:
    assert ran.get(name) is None


def test_sessions_are_opened_and_run_side_by_side(ran: dict[str, str]) -> None:
    assert {name: text for name, text in ran.items() if name.startswith(TOGETHER)} == {}


def test_an_input_that_may_be_left_out_can_be_fed_where_the_binding_lets_it(ran: dict[str, str]) -> None:
    # Java says so itself, before ONNX Runtime is asked.
    assert FED not in ran or "Unexpected number of inputs" in ran[FED]
