"""Go, whose programs are built in `.go/` in the checkout, or where `ONNXHYBRID_GO` says. It takes `go` and `cc`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import onnxhybrid as oh
from tests.bindings import c

_PROGRAM = Path(__file__).with_name("go_program")


def unsupported() -> str | None:
    """Why Go cannot run here; None where it can."""
    return c.unsupported() or (None if shutil.which("go") else "go is not installed")


def built(source: Path, package: str, target: Path) -> Path:
    """A program of the module in a folder, built anew where it changed; what it needs is fetched on first use.

    Raises:
        RuntimeError: go could not build it.
    """
    folder = Path(os.environ.get("ONNXHYBRID_GO") or Path(__file__).parents[2] / ".go")
    settings = {
        "GOCACHE": str(folder / "cache"),
        "GOMODCACHE": str(folder / "modules"),
        "GOFLAGS": "-modcacherw -mod=readonly",
        "CGO_CFLAGS": f"-I{c.headers()}",
        "GOTOOLCHAIN": "local",
        "GONOSUMDB": c.MODULE.partition("@")[0],  # go.sum has the sum
    }
    done = subprocess.run(
        ["go", "build", "-o", str(target), package],
        cwd=source,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"`go build {package}` failed:\n{done.stdout}{done.stderr}")
    return target


def command(folder: Path) -> list[str]:
    """The program, built in a folder, with the two libraries: what is to be run is behind them."""
    return [str(built(_PROGRAM, ".", folder / "run")), str(c.runtime()), oh.library_path()]


def through_provider(folder: Path) -> list[str]:
    """The program whose sessions have the library as their execution provider."""
    program, *libraries = command(folder)
    return [program, "--provider", *libraries]
