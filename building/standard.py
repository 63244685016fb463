"""A Rust compiler with the standard library of a target: the machine's own, rustup's, or that of Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from building import debian, toolchain
from building.targets import ARM64, CROSS, WINDOWS, BuildError, Target


@dataclass(frozen=True)
class Compiler:
    """What cargo has to be told to use it: folders of the path, variables, options, and flags of rustc."""

    folders: tuple[Path, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def compiler(target: Target) -> Compiler:
    """Find a compiler for a target, or fetch one into `.cross/`.

    Raises:
        BuildError: there is none; the message says what was tried.
    """
    if _has(target, "rustc"):
        return Compiler()
    refused = []
    for way in (_of_rustup, _of_debian):
        try:
            return way(target)
        except BuildError as problem:
            refused.append(str(problem))
    raise BuildError(f"no Rust for {target.triple}: {'; '.join(refused)}")


def version(compiler: Compiler) -> str:
    """The release of a compiler."""
    return _said(compiler, "--version").split()[1]


def notices(compiler: Compiler) -> dict[str, bytes]:
    """What Rust itself, or Debian, says of the licences in the standard library, by the names of the files."""
    share = Path(_said(compiler, "--print=sysroot").strip()) / "share" / "doc"
    found = [*share.glob("rust*/COPYRIGHT-library.html"), *share.glob("libstd-rust-web-dev/copyright")]
    return {f"rust-{path.name}": path.read_bytes() for path in found[:1]}


def _said(compiler: Compiler, word: str) -> str:
    folders = os.pathsep.join((*map(str, compiler.folders), os.environ["PATH"]))
    rustc = compiler.variables.get("RUSTC") or shutil.which("rustc", path=folders) or "rustc"
    return subprocess.run([rustc, word], capture_output=True, text=True, check=True).stdout


def _has(target: Target, rustc: str | Path) -> bool:
    """Whether a compiler's installation holds the standard library of a target."""
    command = [str(rustc), "--print=target-libdir", f"--target={target.triple}"]
    if not shutil.which(command[0]):
        return False
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return bool(found) and any(Path(found).glob("libstd-*.rlib"))


def _of_rustup(target: Target) -> Compiler:
    folder = CROSS / "rust"
    rustc = folder / "bin" / "rustc"
    failed = None
    if not rustc.exists():
        if os.environ.get("FETCH_RUST") == "no":
            raise BuildError("none is to be fetched by rustup")
        print(f"The Rust of this machine builds nothing for {target.triple}.", file=sys.stderr)
        print(toolchain.announcement(folder), file=sys.stderr, flush=True)
        failed = toolchain.fetched(folder)
    if not failed and not _has(target, rustc):
        failed = toolchain.rustup(folder, "target", "add", target.triple)
    if failed:
        raise BuildError(failed)
    return Compiler((folder / "bin",))


def _of_debian(target: Target) -> Compiler:
    """Debian's compiler of browsers, which has the library for arm64, and the sources of that for Windows."""
    folder = debian.unpacked("debian-rust", _packages())
    rustc = _started(folder)
    variables = {"RUSTC": str(rustc)}
    if target == ARM64:
        return Compiler((rustc.parent,), variables)
    if target == WINDOWS:
        options = ("-Zbuild-std=std,panic_unwind",)
        variables |= {"RUSTC_BOOTSTRAP": "1"}
        return Compiler((rustc.parent,), variables, options, (f"-Lnative={_empty(folder)}",))
    raise BuildError(f"Debian has no library for {target.triple}")


def _packages() -> list[str]:
    (library,) = debian.needed("libstd-rust-web-dev", "libstd-rust-web-")
    (llvm,) = debian.needed(library, "libllvm")
    compiled = ["rustc-web:amd64", f"{library}:amd64", "libstd-rust-web-dev:amd64", f"{llvm}:amd64"]
    return [*compiled, "libstd-rust-web-dev:arm64", "rust-web-src"]


def _empty(folder: Path) -> Path:
    """The folder of an empty library that Debian's compiler links for Windows; gcc has it, and zig does without."""
    path = folder / "empty" / "libssp_nonshared.a"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"!<arch>\n")
    return path.parent


def _started(folder: Path) -> Path:
    """A script that starts the compiler where it was unpacked."""
    path = folder / "bin" / "rustc"
    path.parent.mkdir(exist_ok=True)
    usr = folder / "usr"
    libraries = f"{usr}/lib/x86_64-linux-gnu:{usr}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
    path.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{usr}/bin/rustc" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path
