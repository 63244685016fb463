"""Rust with the crate `ort`; its programs are built in `.crates/` in the checkout, or where `ONNXHYBRID_RUST` says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import onnxhybrid as oh
from tests.bindings import c

_PROGRAM = Path(__file__).with_name("rust_program")


def unsupported() -> str | None:
    """Why Rust cannot run here; None where it can."""
    return None if shutil.which("cargo") else "cargo is not installed"


def built(source: Path, program: str) -> Path:
    """A program of the package in a folder, built anew where it changed; crates are fetched on first use.

    Raises:
        RuntimeError: cargo could not build it.
    """
    folder = Path(os.environ.get("ONNXHYBRID_RUST") or Path(__file__).parents[2] / ".crates")
    done = subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "--bin", program, "--target-dir", str(folder)],
        cwd=source,
        env={name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"`cargo build --bin {program}` failed:\n{done.stdout}{done.stderr}")
    return folder / "debug" / program


def command(_: Path) -> list[str]:
    """The program with the two libraries: what is to be run is behind them."""
    return [str(built(_PROGRAM, "run-hybrids")), str(c.runtime()), oh.library_path()]


def through_provider(folder: Path) -> list[str]:
    """The program whose sessions have the library as their execution provider."""
    program, *libraries = command(folder)
    return [program, "--provider", *libraries]
