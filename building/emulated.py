"""`python -m building.emulated PYTHON PLATFORM…`: the libraries of wheels for other machines, run under an emulator.

A program in C (tests/bindings/run.c) opens a set of hybrids in ONNX Runtime for that platform, while their servers run
here, and what comes out is compared with what `oh.Session` gives here, bit by bit. PYTHON has the tests' packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from building import debian
from building.targets import ARM64, CROSS, DIST, NAMED, ROOT, TOOLS, WINDOWS, BuildError, Target

LOCK = ROOT / "requirements" / "cross.txt"
BINDINGS = ROOT / "tests" / "bindings"
ENDS = 15
"""Seconds in which a process ends: Wine waits five for what a thread held that is no more."""

_PROCESSOR = """\
processor\t: {}
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd08
CPU revision\t: 3

"""

_WINE = (
    "usr/lib/wine",
    "usr/lib/x86_64-linux-gnu/wine/x86_64-*",
    "usr/share/wine",
    "usr/x86_64-w64-mingw32/lib/zlib1.dll",
)


@dataclass(frozen=True)
class Emulator:
    """What stands before a program, and before the paths that it is given."""

    command: tuple[str, ...]
    prefix: str = ""


def main(python: str, names: Sequence[str]) -> str | None:
    """Run the set on each platform; gives what is wrong, or None."""
    try:
        for name in names:
            target = NAMED[name]
            print(f"{name}:", flush=True)
            _run(python, target, {ARM64: arm64, WINDOWS: windows}[target]())
    except (BuildError, subprocess.CalledProcessError) as problem:
        return f"not as it is here: {problem}"
    return None


def _run(python: str, target: Target, emulator: Emulator) -> None:
    """Run the set in a folder of the checkout, which has a short path that every system can name."""
    with tempfile.TemporaryDirectory(dir=CROSS) as folder:
        library = _of_wheel(target, Path(folder))
        program = _program(python, target, Path(folder))
        paths = [f"{emulator.prefix}{path.as_posix()}" for path in (program, runtime(target), library)]
        options = [f"--prefix={emulator.prefix}", f"--ends={ENDS}", str(Path(folder) / "set")]
        command = [python, "-m", "tests.bindings", *options, "--", *emulator.command, *paths]
        subprocess.run(command, cwd=ROOT, check=True)


def _of_wheel(target: Target, folder: Path) -> Path:
    """The library as it is in the wheel."""
    try:
        (wheel,) = DIST.glob(f"*-{target.tag}.whl")
    except ValueError:
        raise BuildError(f"there is no one wheel for {target.tag} in {DIST}: make cross") from None
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(f"onnxhybrid/lib/{target.library}", folder))


def _program(python: str, target: Target, folder: Path) -> Path:
    """The program that runs the set, compiled for the target."""
    code = "from tests.bindings import c; print(c.headers())"
    headers = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    program = folder / "run.exe"
    _compile(target, "-std=c99", "-w", "-I", headers, str(BINDINGS / "run.c"), "-o", str(program), "-lpthread")
    return program


def _compile(target: Target, *words: str) -> None:
    names = {ARM64: f"aarch64-linux-gnu.{target.glibc}", WINDOWS: "x86_64-windows-gnu"}
    subprocess.run([str(TOOLS / "bin" / "python"), "-m", "ziglang", "cc", "-target", names[target], *words], check=True)


def runtime(target: Target) -> Path:
    """ONNX Runtime's library for a platform, out of its wheel."""
    folder = CROSS / f"onnxruntime-{target.tag}"
    if not (folder / ".complete").exists():
        platform = target.tag.replace("2_17", "2_28")  # ONNX Runtime's own tag
        pip = [str(TOOLS / "bin" / "python"), "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        wanted = ["--only-binary=:all:", "--python-version=3.12", f"--platform={platform}", f"--dest={folder}"]
        subprocess.run([*pip, *wanted, "--requirement", str(LOCK)], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        wheel.unlink()
        (folder / ".complete").touch()
    (library,) = (path for end in ("libonnxruntime.so.*", "onnxruntime.dll") for path in folder.rglob(end))
    return library


def arm64() -> Emulator:
    """qemu-user with the C libraries of Debian for arm64."""
    qemu = debian.unpacked("qemu", ["qemu-user-static"], "usr/bin/qemu-aarch64-static") / "usr" / "bin"
    root = debian.unpacked("arm64", ["libc6:arm64", "libgcc-s1:arm64", "libstdc++6:arm64"])
    # ONNX Runtime reads the kind of processor, and qemu would show that of this machine.
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "cpuinfo").write_text("".join(_PROCESSOR.format(number) for number in range(2)), encoding="utf-8")
    return Emulator((str(qemu / "qemu-aarch64-static"), "-L", str(root)))


def windows() -> Emulator:
    """Wine, with a Windows of its own in `.cross/`."""
    folder = debian.unpacked("wine", ["wine64:amd64", "libwine:amd64", "libz-mingw-w64"], *_WINE)
    usr, home = folder / "usr", folder / "prefix"
    server = usr / "lib" / "wine" / "wineserver"  # a script that looks for the server where it is installed
    server.unlink()
    server.symlink_to("wineserver64")
    libraries = usr / "lib" / "x86_64-linux-gnu" / "wine"
    zlib = usr / "x86_64-w64-mingw32" / "lib" / "zlib1.dll"
    shutil.copy(zlib, libraries / "x86_64-windows")
    settings = {
        "WINEPREFIX": home,
        "WINEDLLPATH": libraries,
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
    }
    variables = [f"{name}={value}" for name, value in settings.items()]
    command = ("env", "-u", "DISPLAY", *variables, str(usr / "lib" / "wine" / "wine64"))
    system = home / "drive_c" / "windows" / "system32"
    if not system.exists():  # the program itself does not find zlib1.dll yet; what it is started for is done before
        subprocess.run([*command, "wineboot", "--init"], check=False, capture_output=True)
    shutil.copy(zlib, system)
    # Rust's library asks for a function of newer Windows that Wine 8 has under another name.
    random = ("-shared", "-o", str(system / "bcryptprimitives.dll"), str(BINDINGS / "prng.c"), "-ladvapi32")
    _compile(WINDOWS, *random)
    return Emulator(command, "Z:")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
