"""Builds the native operator library into the package; everything else is declared in setup.cfg.

The library knows ONNX Runtime's C API and nothing of Python's, so one wheel serves every Python version of a platform.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MANIFEST = Path(__file__).resolve().parent / "native" / "Cargo.toml"
LIBRARY = {"win32": "onnxhybrid.dll", "darwin": "libonnxhybrid.dylib"}.get(sys.platform, "libonnxhybrid.so")
BUILDING = {"bdist_wheel", "build", "build_ext", "build_rust", "develop", "editable_wheel", "install"}


def missing_tool() -> str | None:
    """Say in one sentence what the native library cannot be built without here; None where nothing is missing."""
    needed = _version(_line("rust-version =", MANIFEST.read_text(encoding="utf-8")))
    found = min(_version(_output(program, "--version")) for program in ("rustc", "cargo"))
    if found < needed:
        here = f"Rust {_dotted(found)} was found" if found else "none was found"
        return _sentence(f"Rust {_dotted(needed)} or later, and {here}: get it from https://rustup.rs")
    if sys.platform != "win32" and not shutil.which((os.environ.get("CC") or "cc").split()[0]):
        return _sentence("a C compiler, and none was found: install gcc or clang with your system's package manager")
    return None


def _sentence(problem: str) -> str:
    return f"onnxhybrid builds a native library, which takes {problem}, and try again."


def _line(start: str, text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def _version(text: str) -> tuple[int, ...]:
    """Read the first version number of a text; empty where there is none."""
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _output(*command: str) -> str:
    """Run a program and give what it printed; empty where it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def main() -> None:
    # Before setuptools says what it is doing, so that the sentence stands alone.
    if BUILDING & set(sys.argv):
        problem = missing_tool()
        if problem:
            sys.exit(f"error: {problem}")

    from setuptools import setup
    from setuptools.command.bdist_wheel import bdist_wheel
    from setuptools.command.build_ext import build_ext
    from setuptools_rust import Binding, RustExtension

    class PlatformWheel(bdist_wheel):
        """A wheel for one platform and every Python 3."""

        def get_tag(self) -> tuple[str, str, str]:
            return "py3", "none", super().get_tag()[2]

    class LibraryBuild(build_ext):
        """Names the library as the platform names shared libraries, since no Python loads it as a module."""

        def get_ext_filename(self, fullname: str) -> str:
            return str(Path(*fullname.split(".")).with_name(LIBRARY))

    setup(
        cmdclass={"bdist_wheel": PlatformWheel, "build_ext": LibraryBuild},
        rust_extensions=[
            RustExtension(
                "onnxhybrid.lib.onnxhybrid",
                path="native/Cargo.toml",
                binding=Binding.NoBinding,
                cargo_manifest_args=["--locked"],
                debug=False,
            )
        ],
        zip_safe=False,
    )


if __name__ == "__main__":
    main()
