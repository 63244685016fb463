"""ONNX Runtime for Java: the jar, which Maven fetches on first use.

It is kept in `.java/` in the checkout, or where `ONNXHYBRID_JAVA` says. It needs `java` 17 or later and `mvn`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import onnxhybrid as oh

ARTIFACT = "com.microsoft.onnxruntime:onnxruntime:1.23.2"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_JAR = "onnxruntime-1.23.2.jar"
_SHA256 = "e0ab4a1af57d2da09097202f2dfd691e390c82e81183314788ccde4cf7c3cc38"
_OLDEST = 17


@functools.cache
def unsupported() -> str | None:
    """Why Java cannot run here; None where it can."""
    missing = [program for program in ("java", "javac", "mvn") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} is not installed"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return None if version and int(version[1]) >= _OLDEST else f"Java {_OLDEST} is needed: {said.strip()}"


def jar() -> Path:
    """The jar; it is fetched if it is not there yet.

    Raises:
        RuntimeError: Maven could not get it, or what it got is another file than the tests were written with.
    """
    folder = Path(os.environ.get("ONNXHYBRID_JAVA") or Path(__file__).parents[2] / ".java")
    if not (folder / _JAR).is_file():
        options = [f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
        command = ["mvn", "-q", "-B", f"{_PLUGIN}:copy", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout}")
        if hashlib.sha256((folder / _JAR).read_bytes()).hexdigest() != _SHA256:
            (folder / _JAR).unlink()
            raise RuntimeError(f"{ARTIFACT} is not the file that was expected, whose sha256 is {_SHA256}")
    return folder / _JAR


def command(folder: Path) -> list[str]:
    """The program, compiled in a folder, with the library: what is to be run is behind it."""
    source = Path(__file__).with_name("Run.java")
    subprocess.run(["javac", "-cp", str(jar()), "-d", str(folder), str(source)], check=True)
    return ["java", "-cp", f"{jar()}{os.pathsep}{folder}", "Run", oh.library_path()]
