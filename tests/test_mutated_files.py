"""Models that were mutated field by field: everything done with them ends in a result or a code, and soon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.hostile.mutations import mutated

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux has them")


class Attacker:
    """A child process with limits, in which each file is attacked; another one where it ended."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "m.onnx"
        self._errors = folder / "errors"
        self._child: subprocess.Popen[str] | None = None

    def end(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()

    def faults(self, data: bytes) -> list[str]:
        """What went wrong with the file of these bytes."""
        self._file.write_bytes(data)
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{self._file}\n")
        child.stdin.flush()
        faults: list[str] = []
        begun = "nothing"
        for line in child.stdout:
            if line == "END\n":
                return faults
            begun = line.strip() if line.startswith("BEGIN") else begun
            faults += [line[-2500:]] if line.startswith("FAULT") else []
        return [*faults, f"{begun} ended with {child.wait()}: {self._errors.read_text()[-2000:]}"]

    def _running(self) -> subprocess.Popen[str]:
        if self._child is None or self._child.poll() is not None:
            with self._errors.open("w") as errors:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "tests.hostile.attack"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT,
                )  # fmt: skip
        return self._child


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    made = Attacker(tmp_path_factory.mktemp("mutated"))
    yield made
    made.end()


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )


@given(data=mutated())
@_settings(40)
def test_a_mutated_file_only_meets_errors_with_a_code(attacker: Attacker, data: bytes) -> None:
    assert attacker.faults(data) == []


@pytest.mark.attack
@given(data=mutated())
@_settings(3000)
def test_thousands_of_mutated_files_only_meet_errors_with_a_code(attacker: Attacker, data: bytes) -> None:
    assert attacker.faults(data) == []
