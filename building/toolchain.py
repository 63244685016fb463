"""Brings a Rust toolchain into the checkout where the machine has none that is recent enough.

`python -m building.toolchain` needs nothing but Python. It ends well where rustc and cargo are there already, or are in
`.rust/bin` afterwards, which the Makefile looks into first; otherwise it says what is missing. Names of components
(clippy, rustfmt) are added to a toolchain that was brought.
"""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import setup

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".rust"
LOCK = ROOT / "requirements" / "toolchain.txt"
SERVER = "https://static.rust-lang.org"
REACH_SECONDS = 10
FETCH_SECONDS = 1800


def main(components: list[str]) -> str | None:
    """See to it that there is a toolchain; gives the sentence that says what is missing, or None."""
    problem = setup.missing_compiler()  # first: nothing is fetched in vain
    if problem:
        return problem
    problem = setup.missing_rust()
    if problem:
        if os.environ.get("FETCH_RUST") == "no":
            return problem
        print(f"{problem}\n{announcement(FOLDER)}", file=sys.stderr, flush=True)
        failed = fetched(FOLDER)
        if failed:
            return f"{failed}\n{problem}"
        os.environ["PATH"] = f"{FOLDER / 'bin'}{os.pathsep}{os.environ['PATH']}"
        problem = setup.missing_rust()
        if problem:
            return problem
    return added(components) if components and (FOLDER / "bin").exists() else None


def announcement(folder: Path) -> str:
    """What is fetched, how large it is, where it goes, and how to do without."""
    return (
        f"Now Rust is fetched from {server()} (150 MB, a minute or more) into {folder} (650 MB); nothing else is "
        "changed, and `make clean` removes it. FETCH_RUST=no forgoes it."
    )


def server() -> str:
    """Where rustup gets itself from, by the variables that it heeds."""
    return (os.environ.get("RUSTUP_UPDATE_ROOT") or f"{SERVER}/rustup").rstrip("/")


def fetched(folder: Path) -> str | None:
    """Fetch the stable toolchain, whose programs are in `bin` of the folder; gives what went wrong, or None."""
    failed = unreachable(server())
    if failed:
        return failed
    python = folder / "python" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", str(LOCK)]
    location = ["--location", str(folder), "--info-json", str(folder / "environment.json")]
    for command in (
        [sys.executable, "-m", "venv", str(folder / "python")],
        pip,
        [str(python), "-m", "puccinialin", *location],
    ):
        failed = failure(folder, command)
        if failed:
            return failed
    link(folder)
    return None


def unreachable(root: str) -> str | None:
    """Ask, for some seconds at most, whether the server answers: a machine without a network shall not wait."""
    request = urllib.request.Request(f"{root}/release-stable.toml", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=REACH_SECONDS).close()
    except urllib.error.HTTPError as problem:
        return f"{root} answers {problem.code} {problem.reason}."
    except OSError as problem:
        return f"{root} is not to be reached: {getattr(problem, 'reason', problem)}."
    return None


def failure(folder: Path, command: list[str], **variables: str) -> str | None:
    """Run a step, whose words go into a file beside what it makes; gives the last of them where it fails."""
    log = folder / "log"
    folder.mkdir(parents=True, exist_ok=True)
    settings = environment() | variables
    try:
        with open(log, "w", encoding="utf-8") as said:
            subprocess.run(command, check=True, stdout=said, stderr=said, timeout=FETCH_SECONDS, env=settings)
    except (OSError, subprocess.SubprocessError) as problem:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"fetching it failed: {lines[-1] if lines else problem} (more in {log})"
    return None


def environment() -> dict[str, str]:
    """The variables of the steps."""
    # puccinialin knows the authorities of a package alone; a company's own are with the system's.
    authorities = ssl.get_default_verify_paths().cafile
    found = {"SSL_CERT_FILE": authorities} if authorities else {}
    # Of a Rust that is too old for us rustup would say that it is in the way.
    return found | os.environ | {"RUSTUP_INIT_SKIP_PATH_CHECK": "yes"}


def link(folder: Path) -> None:
    """Make `bin` of the folder the toolchain's own programs, which need none of rustup's variables."""
    found = sorted((folder / "rustup" / "toolchains").glob(f"stable-{platform.machine()}*/bin"))
    link = folder / "bin"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(found[0], folder))


def added(components: list[str]) -> str | None:
    """Add components to the toolchain that was brought, those that it has already excepted."""
    programs = {"clippy": "cargo-clippy", "rustfmt": "cargo-fmt"}
    missing = [each for each in components if not shutil.which(programs[each], path=str(FOLDER / "bin"))]
    return rustup(FOLDER, "component", "add", *missing) if missing else None


def rustup(folder: Path, *words: str) -> str | None:
    """Have rustup change a toolchain that was fetched; gives what went wrong, or None."""
    homes = {"RUSTUP_HOME": str(folder / "rustup"), "CARGO_HOME": str(folder / "cargo")}
    return failure(folder, [str(folder / "cargo" / "bin" / "rustup"), *words], **homes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
