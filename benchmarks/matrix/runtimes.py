"""Releases of onnxruntime beside each other, each in a folder of its own with the numpy that it was built for."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import environments
from tests.corpus.wheels import root

RELEASES = ("1.18.1", "1.20.1", "1.23.2", "1.24.4", "1.29.0")
"""Those that the matrix runs, beside the newest that there is."""

_PYTHONS = ("python3.13", "python3.12", "python3.11", "python3.10", "python3.9")


def newest() -> str:
    """The newest release that the package index has."""
    command = [sys.executable, "-m", "pip", "index", "versions", "onnxruntime"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"onnxruntime \((\d+\.\d+\.\d+)\)", told)
    if found is None:
        raise RuntimeError(f"`{' '.join(command)}` names no version:\n{told}")
    return found[1]


def folder(release: str) -> Path:
    """The folder of a release, filled on first use.

    Raises:
        RuntimeError: no interpreter on this machine has a wheel of it.
    """
    path = root() / "runtimes" / release
    with environments.alone(path.parent):
        if not (path / f"onnxruntime-{release}.dist-info" / "RECORD").exists():
            _install(release, path)
    return path


def python(release: str) -> str:
    """The interpreter that a release's wheel is for."""
    named = folder(release) / ".python"
    return named.read_text(encoding="utf-8") if named.exists() else sys.executable


def run(release: str, script: Path | str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a script, a file or a text, by a release; nothing of this checkout is on its path."""
    command = [python(release), *(["-c", script] if isinstance(script, str) else [str(script)]), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder(release))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def loaded(release: str, models: Sequence[Path], into: Path, library: str) -> dict[Path, str]:
    """What a release says against models; empty of one that it loads.

    A crash is one model's, and the next ones follow.
    """
    jobs, results = into / "models.json", into / f"{release}.lines"
    jobs.write_text(json.dumps([str(path) for path in models]), encoding="utf-8")
    results.unlink(missing_ok=True)
    found: dict[Path, str] = {}
    while len(found) < len(models):
        done = run(release, Path(__file__).with_name("loading.py"), [str(jobs), str(results), str(len(found)), library])
        found = dict(zip(models, map(json.loads, results.read_text().splitlines()), strict=False))
        if len(found) < len(models):  # the process ended within the next one
            with results.open("a") as lines:
                lines.write(json.dumps(f"the process ended with status {done.returncode}") + "\n")
            found[models[len(found)]] = f"the process ended with status {done.returncode}"
    return found


def _install(release: str, path: Path) -> None:
    print(f"installing onnxruntime {release} into {path} (once) …", file=sys.stderr, flush=True)
    wanted = [f"onnxruntime=={release}", "numpy<2" if int(release.split(".")[1]) < 19 else "numpy>=2"]
    options = ["--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:", "--target", str(path)]
    said = ""
    for interpreter in _interpreters():
        shutil.rmtree(path, ignore_errors=True)
        command = [interpreter, "-m", "pip", "install", *options, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            (path / ".python").write_text(interpreter, encoding="utf-8")
            return
        said = done.stderr
    raise RuntimeError(f"no Python here has a wheel of onnxruntime {release}: {said.strip().splitlines()[-1:]}")


@functools.cache
def _interpreters() -> tuple[str, ...]:
    return tuple(dict.fromkeys(_candidates()))


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield from (found for name in _PYTHONS if (found := shutil.which(name)))
    yield from sorted(map(str, (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")), reverse=True)
