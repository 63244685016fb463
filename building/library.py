"""The library for a target, with nothing in it of the machine that built it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from building import standard
from building.standard import Compiler
from building.targets import CROSS, NATIVE, ROOT, TOOLS, BuildError, Target


@dataclass(frozen=True)
class Built:
    """A library.

    Attributes:
        path: where it is.
        rust: the release of Rust whose standard library is in it.
        notices: what has to be said of that, by the names of the files.
        beside: what else is linked into it beside crates, by name, with its licence.
    """

    path: Path
    rust: str
    notices: Mapping[str, bytes]
    beside: Mapping[str, str]


def build(target: Target) -> Built:
    """Build the library, for the C library of older systems, which zig knows.

    Raises:
        BuildError: there is no Rust for the target, or the library holds paths of this machine.
        CalledProcessError: cargo failed.
    """
    compiler = standard.compiler(target)
    command = ["cargo-zigbuild", "zigbuild", *compiler.options, "--release", "--locked", "--lib"]
    subprocess.run([*command, "--target", target.linked], cwd=NATIVE, env=environment(compiler), check=True)
    require_anonymous(target.built)
    return Built(target.built, standard.version(compiler), standard.notices(compiler), linked_by_zig())


def environment(compiler: Compiler) -> dict[str, str]:
    """The variables with which cargo finds compiler and linker, and leaves out where sources lie."""
    flags = [f"--remap-path-prefix={folder}={name}" for folder, name in sources()] + list(compiler.flags)
    path = os.pathsep.join((*map(str, compiler.folders), str(TOOLS / "bin"), os.environ["PATH"]))
    return os.environ | {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags), "PATH": path} | compiler.variables


def cargo_home() -> Path:
    """Where cargo keeps the sources of crates."""
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo").resolve()


def sources() -> list[tuple[Path, str]]:
    """The folders whose files a library may name in its messages, with what they are called there.

    Of several that fit, rustc takes the last.
    """
    return [
        (NATIVE, "onnxhybrid"),
        (CROSS, "rust"),
        *((index, "crates") for index in sorted(cargo_home().glob("registry/src/*"))),
    ]


def require_anonymous(library: Path) -> None:
    """Refuse a library that tells where it was built.

    Raises:
        BuildError: it does.
    """
    found = named_places(library.read_bytes())
    if found:
        raise BuildError(f"{library} names {', '.join(found)}, where it was built")


def named_places(content: bytes) -> list[str]:
    """Which of this machine's folders a file names."""
    places = {ROOT, Path.home(), cargo_home(), Path(sys.prefix), Path(os.environ.get("RUSTUP_HOME") or ROOT)}
    return sorted(str(place) for place in places if len(place.parts) > 1 and f"{place}/".encode() in content)


def linked_by_zig() -> dict[str, str]:
    """What zig links beside the crates, by name, with its licence."""
    folder = Path(str(metadata.distribution("ziglang").locate_file("ziglang")))
    named = {"Zig's compiler runtime": "LICENSE", "LLVM libunwind": "lib/libunwind/LICENSE.TXT"}
    return {name: (folder / path).read_text(encoding="utf-8").strip() for name, path in named.items()}
