"""`installation`: which releases are installed, and what they reach."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import onnxruntime

from onnxhybrid import __version__, library
from onnxhybrid.errors import Error
from onnxhybrid.validation.target import Target

_PACKAGES = ("numpy", "onnx", "onnxruntime", "onnxruntime-extensions", "onnx-graphsurgeon", "pydantic", "typer")


@dataclass(frozen=True)
class Installation:
    """What is installed here.

    Attributes:
        onnxhybrid: the version.
        tag: what the installed wheel is made for, as py3-none-manylinux_2_17_x86_64; empty where none is installed.
        python, platform: of the interpreter.
        library: the path of the operator library.
        abi: the version of the interface between it and this package; None where it cannot be used.
        problem: why it cannot be used; empty where it can.
        protocols: what it speaks.
        opset, ml_opset, ir_version: the newest that the installed ONNX Runtime reads.
        providers: its execution providers.
        packages: releases of what is used, by name; None for what is not installed.
    """

    onnxhybrid: str
    tag: str
    python: str
    platform: str
    library: str
    abi: int | None
    problem: str
    protocols: tuple[str, ...]
    opset: int
    ml_opset: int
    ir_version: int
    providers: tuple[str, ...]
    packages: dict[str, str | None]

    def document(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items() if version)
        reach = f"opset {self.opset}, ai.onnx.ml {self.ml_opset}, IR {self.ir_version}"
        return "\n".join(
            (
                f"onnxhybrid {self.onnxhybrid} ({self.tag or 'no wheel'}), Python {self.python}, {self.platform}",
                f"library: {self.problem or f'{self.library} (ABI {self.abi})'}",
                f"protocols: {', '.join(self.protocols)}",
                f"ONNX Runtime reads {reach}; it runs {', '.join(self.providers)}",
                f"packages: {packages}",
            )
        )


def installation() -> Installation:
    """What is installed here; nothing is raised for a library that cannot be used, since that is to be told."""
    problem, path = "", ""
    protocols: tuple[str, ...] = ()
    try:
        path, protocols = library.library_path(), tuple(library.protocols())
    except Error as found:
        problem = found.message
    target = Target.installed()
    return Installation(
        onnxhybrid=__version__,
        tag=_tag(),
        python=sys.version.split()[0],
        platform=platform.platform(),
        library=path,
        abi=None if problem else library.ABI_VERSION,
        problem=problem,
        protocols=protocols,
        opset=target.opset,
        ml_opset=target.ml_opset,
        ir_version=target.ir_version,
        providers=tuple(onnxruntime.get_available_providers()),
        packages={name: _release(name) for name in _PACKAGES},
    )


def _tag() -> str:
    """The platform of the wheel that was installed, which for an editable installation is that of its build."""
    # A checkout on the path has metadata, too, which come from no wheel.
    for found in metadata.distributions(name="onnxhybrid"):
        for line in (found.read_text("WHEEL") or "").splitlines():
            if line.startswith("Tag: "):
                return line.removeprefix("Tag: ")
    return ""


def _release(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
