"""The first sessions of a process may be opened side by side.

ONNX Runtime enters a domain of operators in a table when the first session with it opens, and takes no lock for that:
of such processes one in thirty failed, with "the domain is already exist".
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import onnxhybrid as oh
from tests.bindings import c
from tests.remotes import adder

PROCESSES = 30


@pytest.mark.skipif(c.unsupported() is not None, reason=f"no C here: {c.unsupported()}")
@pytest.mark.parametrize("threads", [2, 4])
def test_the_first_sessions_of_a_process_open_side_by_side(tmp_path: Path, threads: int) -> None:
    program, model = tmp_path / "first", tmp_path / "model.onnx"
    source = Path(__file__).parent / "bindings" / "first.c"
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{c.headers()}"]
    subprocess.run(["cc", *options, str(source), "-o", str(program), "-ldl", "-lpthread"], check=True)
    adder("http://127.0.0.1:1").save(model)
    command = [str(program), str(c.runtime()), oh.library_path(), str(model), str(threads)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(PROCESSES)]
    assert [run.stdout for run in runs if run.returncode] == []
