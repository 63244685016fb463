"""ONNX Runtime for Java: its jars, which Maven fetches on first use.

They are kept in `.java/` in the checkout, or where `ONNXHYBRID_JAVA` says. It needs `java` 17 or later and `mvn`.
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

ARTIFACT = "com.microsoft.onnxruntime:onnxruntime"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
OPERATORS = "1.23.2"
PROVIDERS = "1.29.0"
"""A release that takes execution providers with operators, as 1.24 and later do."""
_SHA256 = {
    OPERATORS: "e0ab4a1af57d2da09097202f2dfd691e390c82e81183314788ccde4cf7c3cc38",
    PROVIDERS: "5933bbc0c6c4d89afc04bf7c11011de23a947509c1352e5bf5936e62a84e4d10",
}
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


def jar(version: str = OPERATORS) -> Path:
    """The jar of a release; it is fetched if it is not there yet.

    Raises:
        RuntimeError: Maven could not get it, or what it got is another file than the tests were written with.
    """
    folder = Path(os.environ.get("ONNXHYBRID_JAVA") or Path(__file__).parents[2] / ".java")
    found = folder / f"onnxruntime-{version}.jar"
    if not found.is_file():
        options = [f"-Dartifact={ARTIFACT}:{version}", f"-DoutputDirectory={folder}"]
        command = ["mvn", "-q", "-B", f"{_PLUGIN}:copy", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout}")
        if hashlib.sha256(found.read_bytes()).hexdigest() != _SHA256[version]:
            found.unlink()
            raise RuntimeError(f"{ARTIFACT}:{version} is not the file whose sha256 is {_SHA256[version]}")
    return found


def command(folder: Path) -> list[str]:
    """The program, compiled in a folder, with the library: what is to be run is behind it."""
    return _compiled(folder, jar(), "Run")


def through_provider(folder: Path) -> list[str]:
    """The program whose sessions have the library as their execution provider."""
    return _compiled(folder, jar(PROVIDERS), "Provider")


def _compiled(folder: Path, runtime: Path, program: str) -> list[str]:
    sources = [str(Path(__file__).with_name(f"{name}.java")) for name in sorted({"Run", program})]
    subprocess.run(["javac", "-cp", str(runtime), "-d", str(folder), *sources], check=True)
    return ["java", "-cp", f"{runtime}{os.pathsep}{folder}", program, oh.library_path()]
