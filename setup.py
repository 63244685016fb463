"""Builds the native operator library into the package; everything else is declared in setup.cfg.

The library knows ONNX Runtime's C API and nothing of Python's, so one wheel serves every Python version of a platform.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MANIFEST = Path(__file__).resolve().parent / "native" / "Cargo.toml"
LIBRARY = {"win32": "onnxhybrid.dll", "darwin": "libonnxhybrid.dylib"}.get(sys.platform, "libonnxhybrid.so")
BUILDING = {"bdist_wheel", "build", "build_ext", "build_rust", "develop", "editable_wheel", "install"}
# For `make wheels`, which puts in a library that it has built by itself.
WITHOUT_LIBRARY = "ONNXHYBRID_WITHOUT_LIBRARY" in os.environ
# Distributions whose own Rust is recent enough, by the name and release of /etc/os-release.
PACKAGES = {
    "arch": "pacman -S rust",
    "debian 12": "apt install rustc-web cargo-web",
    "fedora": "dnf install cargo",
}


def missing_tool() -> str | None:
    """Say in one sentence what the native library cannot be built without here; None where nothing is missing."""
    return missing_rust() or missing_compiler()


def missing_rust() -> str | None:
    """Say that there is no Rust, or none that is recent enough."""
    needed = _version(_line("rust-version =", MANIFEST.read_text(encoding="utf-8")))
    found = min(_version(_output(program, "--version")) for program in ("rustc", "cargo"))
    if found >= needed:
        return None
    here = f"Rust {_dotted(found)} was found" if found else "none was found"
    packages = _own_packages()
    return _sentence(f"Rust {_dotted(needed)} or later, and {here}: get it from https://rustup.rs{packages}")


def missing_compiler() -> str | None:
    """Say that there is no C compiler, which Rust links with."""
    if sys.platform == "win32" or shutil.which((os.environ.get("CC") or "cc").split()[0]):
        return None
    return _sentence("a C compiler, and none was found: install gcc or clang with your system's package manager")


def _own_packages() -> str:
    """How the distribution itself installs a Rust that is recent enough, where it has one."""
    try:
        release = Path("/etc/os-release").read_text(encoding="utf-8").replace('"', "")
    except OSError:
        return ""
    named = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    command = PACKAGES.get(f"{named.get('ID')} {named.get('VERSION_ID')}") or PACKAGES.get(named.get("ID", ""))
    return f" or by `{command}`" if command else ""


def _sentence(problem: str) -> str:
    return f"onnxhybrid builds a native library, which takes {problem}, and try again."


def _announce() -> None:
    """Say what is being built, at the terminal too: pip keeps what a build prints to itself."""
    said = "onnxhybrid: building the native library with Rust, which takes some minutes the first time"
    print(said, file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        with contextlib.suppress(OSError), open("/dev/tty", "w", encoding="utf-8") as terminal:
            terminal.write(f"\n{said}\n")


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
    if BUILDING & set(sys.argv) and not WITHOUT_LIBRARY:
        problem = missing_tool()
        if problem:
            sys.exit(f"error: {problem}")
        if "MAKELEVEL" not in os.environ:  # make says it by itself
            _announce()

    from setuptools import setup

    if WITHOUT_LIBRARY:
        setup(zip_safe=False)
        return

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

    native = RustExtension(
        "onnxhybrid.lib.onnxhybrid",
        path="native/Cargo.toml",
        binding=Binding.NoBinding,
        cargo_manifest_args=["--locked"],
        debug=False,
    )
    setup(
        cmdclass={"bdist_wheel": PlatformWheel, "build_ext": LibraryBuild},
        rust_extensions=[native],
        zip_safe=False,
    )


if __name__ == "__main__":
    main()
