"""ONNX Runtime for Java: the jar, which Maven fetches on first use.

It is kept in `.java/` in the checkout, or where `ONNXHYBRID_JAVA` says. It needs `java` 17 or later and `mvn`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ARTIFACT = "com.microsoft.onnxruntime:onnxruntime:1.23.2"
_JAR = "onnxruntime-1.23.2.jar"
_OLDEST = 17


def unsupported() -> str | None:
    """Why Java cannot run here; None where it can."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} is not installed"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return None if version and int(version[1]) >= _OLDEST else f"Java {_OLDEST} is needed: {said.strip()}"


def jar() -> Path:
    """The jar; it is fetched if it is not there yet.

    Raises:
        RuntimeError: Maven could not get it.
    """
    folder = Path(os.environ.get("ONNXHYBRID_JAVA") or Path(__file__).parents[2] / ".java")
    if not any(folder.glob(_JAR)):
        options = [f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
        command = ["mvn", "-q", "-B", "dependency:copy", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout}")
    return next(folder.glob(_JAR))
