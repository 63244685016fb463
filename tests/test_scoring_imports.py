"""Scoring costs nothing until it is used, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    program = "import sys, onnxhybrid as oh; oh.score; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_is_not_installed_is_told() -> None:
    program = """
import sys
sys.modules["pyarrow"] = None
import onnxhybrid as oh
try:
    oh.score("a.onnx", "b.parquet", "c")
except oh.Error as error:
    assert error.code == "OH551" and "onnxhybrid[scoring]" in str(error), error
else:
    sys.exit(1)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
