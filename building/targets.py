"""The platforms that wheels are built for here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NATIVE = ROOT / "native"
TOOLS = ROOT / ".wheels"
DIST = ROOT / "dist"
CROSS = ROOT / ".cross"

GLIBC = "2.17"
"""The C library that a Linux wheel asks for: the oldest that Rust itself supports, older than ONNX Runtime's."""


class BuildError(RuntimeError):
    """A library or a wheel that cannot be made, or is not as it has to be."""


@dataclass(frozen=True)
class Target:
    """A platform.

    Attributes:
        triple: its name in Rust.
        tag: its name in wheels, which says what it asks of a system.
        library: the file's name in the package.
        glibc: the release of the C library that is linked against; empty where there is none.
    """

    triple: str
    tag: str
    library: str = "libonnxhybrid.so"
    glibc: str = GLIBC

    @property
    def linked(self) -> str:
        """Its name for zig as a linker."""
        return f"{self.triple}.{self.glibc}" if self.glibc else self.triple

    @property
    def built(self) -> Path:
        """Where cargo leaves the library."""
        return NATIVE / "target" / self.triple / "release" / self.library


_LINUX = f"manylinux_{GLIBC.replace('.', '_')}"

X86_64 = Target("x86_64-unknown-linux-gnu", f"{_LINUX}_x86_64")
ARM64 = Target("aarch64-unknown-linux-gnu", f"{_LINUX}_aarch64")
WINDOWS = Target("x86_64-pc-windows-gnu", "win_amd64", "onnxhybrid.dll", glibc="")

NAMED = {"x86-64": X86_64, "arm64": ARM64, "windows": WINDOWS}
"""The platforms as the Makefile names them; the first is tried on the machine itself."""
