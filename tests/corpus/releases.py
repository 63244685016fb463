"""The test models of past releases of onnx: every operator as it was, in opsets 7 to 19.

The wheels lie in `.corpus/releases/` of the checkout, or where `ONNXHYBRID_CORPUS` says; they are installed on first
use, without what they depend on, and are not imported.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import environments
from tests.corpus.backend import on_disk
from tests.corpus.case import Case
from tests.corpus.wheels import root

RELEASES = {
    "1.6.0": ("3.7", "manylinux1_x86_64", "9b32e04abe02cba4c4edb6c3cc15db917e734521ca8631e46bea3971a142d709"),
    "1.8.1": ("3.8", "manylinux2010_x86_64", "cd18c7499162dd2c8c7e45669f2e7096012b9054b59670c26c5f1239b5c50ce4"),
    "1.10.2": ("3.8", "manylinux_2_12_x86_64", "a86e3f956e2a1d39772ae36d28c5b7f20fb6a883ae35971ada261b25548a8b32"),
    "1.12.0": ("3.9", "manylinux_2_17_x86_64", "c7a9b3ea02c30efc1d2662337e280266aca491a8e86be0d8a657f874b7cccd1e"),
    "1.14.1": ("3.9", "manylinux_2_17_x86_64", "6b113fa0183034743e6477fec928e478a6d94eee8d9a4376c144d20d736cdc45"),
}
"""Release -> the Python, the platform and the SHA-256 of a wheel of it; the models are the same in all."""

FOLDERS = ("node", "simple", "pytorch-converted", "pytorch-operator")


def cases(releases: Sequence[str] = tuple(RELEASES)) -> Iterator[Case]:
    """Every model of these releases that can be read, with its inputs, in a fixed order."""
    for release in releases:
        data = _folder(release) / "onnx" / "backend" / "test" / "data"
        for kind in FOLDERS:
            for path in sorted((data / kind).iterdir()):
                try:
                    yield on_disk(f"{release} {path.name}", path)
                except Exception:  # noqa: BLE001  # some hold values that today's onnx does not read
                    continue


def opset(case: Case) -> int:
    """The standard opset of a model."""
    return max((entry.version for entry in case.proto.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _folder(release: str) -> Path:
    path = root() / "releases" / release
    with environments.alone(path):
        if not (path / f"onnx-{release}.dist-info" / "RECORD").exists():
            _install(release, path)
    return path


def _install(release: str, path: Path) -> None:
    """Unpack the wheel, whichever Python it is for.

    Raises:
        InstallationError: pip could not get it.
    """
    print(f"installing onnx {release} into {path} (once) …", file=sys.stderr, flush=True)
    python, platform, digest = RELEASES[release]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
    command += ["--python-version", python, "--platform", platform, "--target", str(path), "--require-hashes"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(f"onnx=={release} --hash=sha256:{digest}\n")
        wanted.flush()
        made = subprocess.run([*command, "-r", wanted.name], capture_output=True, text=True, check=False)
    if made.returncode:
        raise environments.InstallationError(f"pip could not install onnx {release}:\n{made.stderr}")
