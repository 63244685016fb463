"""A Rust for machines that have none: what is said of it, what it takes, and what is said where it is not to be had."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import platform
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRIPLE = f"{platform.machine()}-unknown-linux-gnu"
RUSTUP = shutil.which("rustup")
RELEASE = "1.99.0"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the Makefile brings it, and the stand-ins are scripts")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with what brings a toolchain, on a machine with a C compiler and no Rust."""
    for name in ("building", "native", "requirements"):
        ignored = shutil.ignore_patterns("target", "src", "fuzz", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "tree" / name, ignore=ignored)
    shutil.copy(ROOT / "setup.py", tmp_path / "tree")
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "cc", "exit 0")
    return tmp_path / "tree"


def script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def brought(checkout: Path, *components: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """See to a toolchain, as make does, in a machine whose programs are those of `bin` and the shell's."""
    programs = checkout.parent / "bin"
    for needed in ("sh", "uname", "ldd", "cat"):
        if not (programs / needed).exists() and (path := shutil.which(needed)):
            (programs / needed).symlink_to(path)
    dropped = ("RUST", "CARGO", "CC")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    variables = {
        "PATH": f"{checkout / '.rust' / 'bin'}{os.pathsep}{programs}",
        "HOME": str(checkout.parent),
    } | variables
    command = [sys.executable, "-B", "-m", "building.toolchain", *components]
    return subprocess.run(
        command, cwd=checkout, env=kept | variables, capture_output=True, text=True, timeout=120, check=False
    )


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and writes no log."""

    def log_message(self, *said: object) -> None:
        pass


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A server of files on loopback, with its folder."""
    folder = tmp_path / "releases"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def component(folder: Path, url: str, name: str, path: str) -> str:
    """Put a component with one program into the folder, as rustup has them; gives its part of the list."""
    top = f"{name}-{RELEASE}-{TRIPLE}"
    program = f"#!/bin/sh\necho {name} {RELEASE}\n"
    content = {"rust-installer-version": "3\n", "components": f"{name}\n"}
    content |= {f"{name}/manifest.in": f"file:{path}\n", f"{name}/{path}": program}
    packed = folder / "dist" / f"{top}.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        for member, text in content.items():
            entry = tarfile.TarInfo(f"{top}/{member}")
            entry.size, entry.mode = len(text), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    return (
        f'[pkg.{name}]\nversion = "{RELEASE} (0 2026-01-01)"\n[pkg.{name}.target.{TRIPLE}]\navailable = true\n'
        f'url = "{url}/dist/{packed.name}"\nhash = "{digest}"\n'
    )


def publish(folder: Path, url: str) -> None:
    """Publish a release of Rust whose programs say what they are, and rustup itself, which is the machine's own."""
    assert RUSTUP
    own = folder / "rustup" / "dist" / TRIPLE
    own.mkdir(parents=True)
    shutil.copy(RUSTUP, own / "rustup-init")
    (folder / "rustup" / "release-stable.toml").touch()
    (folder / "dist").mkdir()
    programs = {"rustc": "bin/rustc", "cargo": "bin/cargo", "rust-std": "lib/std", "rustfmt": "bin/cargo-fmt"}
    parts = [component(folder, url, name, path) for name, path in programs.items()]
    whole = (
        f'[pkg.rust]\nversion = "{RELEASE} (0 2026-01-01)"\n[pkg.rust.target.{TRIPLE}]\navailable = true\n'
        f'url = "{url}/none"\nhash = "{"0" * 64}"\n'
    )
    for kind, names in {"components": ["rustc", "cargo", "rust-std"], "extensions": ["rustfmt"]}.items():
        for name in names:
            whole += f'[[pkg.rust.target.{TRIPLE}.{kind}]]\npkg = "{name}"\ntarget = "{TRIPLE}"\n'
    profiles = '[profiles]\nminimal = ["rustc", "cargo", "rust-std"]\n'
    listed = "\n".join(('manifest-version = "2"\ndate = "2026-01-01"\n', *parts, whole, profiles))
    path = folder / "dist" / "channel-rust-stable.toml"
    path.write_text(listed)
    path.with_name(f"{path.name}.sha256").write_text(f"{hashlib.sha256(listed.encode()).hexdigest()}  {path.name}\n")


def variables(url: str) -> dict[str, str]:
    return {"RUSTUP_UPDATE_ROOT": f"{url}/rustup", "RUSTUP_DIST_SERVER": url}


@pytest.mark.skipif(not RUSTUP, reason="the stand-in for rustup's server serves the rustup of this machine")
@pytest.mark.parametrize("old", [False, pytest.param(True, marks=pytest.mark.attack)])
def test_a_machine_without_a_recent_rust_is_told_and_gets_one_in_a_folder_of_the_checkout(
    checkout: Path, releases: tuple[Path, str], old: bool
) -> None:
    folder, url = releases
    publish(folder, url)
    for program in ("rustc", "cargo") if old else ():
        script(checkout.parent / "bin" / program, f"echo {program} 1.70.0")
    done = brought(checkout, "rustfmt", **variables(url))
    assert done.returncode == 0, done.stderr
    problem, announcement, *_ = done.stderr.splitlines()
    assert ("Rust 1.70.0 was found" if old else "none was found") in problem
    for told in (f"{url}/rustup", " MB", str(checkout / ".rust"), "make clean", "FETCH_RUST=no"):
        assert told in announcement
    for program in ("rustc", "cargo", "cargo-fmt"):
        assert subprocess.check_output([checkout / ".rust" / "bin" / program], text=True).endswith(f"{RELEASE}\n")
    assert not (checkout.parent / ".cargo").exists()
    assert brought(checkout, "rustfmt", RUSTUP_UPDATE_ROOT="http://127.0.0.1:1").returncode == 0


def is_todays_sentence(line: str) -> bool:
    return line.startswith("onnxhybrid builds a native library, which takes Rust 1.") and "https://rustup.rs" in line


def test_a_machine_that_is_not_to_fetch_gets_the_sentence_alone(checkout: Path) -> None:
    done = brought(checkout, FETCH_RUST="no")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert is_todays_sentence(line)


def test_a_server_that_is_not_there_is_said_at_once(checkout: Path) -> None:
    begun = time.monotonic()
    done = brought(checkout, RUSTUP_UPDATE_ROOT="http://127.0.0.1:1/rustup")
    assert time.monotonic() - begun < 5
    assert done.returncode == 1
    *_, why, line = done.stderr.splitlines()
    assert why.startswith("http://127.0.0.1:1/rustup is not to be reached")
    assert is_todays_sentence(line)
    assert not (checkout / ".rust").exists()


@pytest.mark.attack
def test_a_server_that_never_answers_is_waited_for_ten_seconds(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        done = brought(checkout, RUSTUP_UPDATE_ROOT=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert 9 < time.monotonic() - begun < 20
    assert done.returncode == 1
    assert is_todays_sentence(done.stderr.splitlines()[-1])


def test_a_server_that_has_no_rust_is_said(checkout: Path, releases: tuple[Path, str]) -> None:
    done = brought(checkout, **variables(releases[1]))
    assert done.returncode == 1
    *_, why, line = done.stderr.splitlines()
    assert "404" in why
    assert is_todays_sentence(line)


def test_without_a_c_compiler_nothing_is_fetched(checkout: Path) -> None:
    (checkout.parent / "bin" / "cc").unlink()
    done = brought(checkout)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "a C compiler, and none was found" in line


def test_a_rust_that_is_recent_enough_is_left_alone(checkout: Path) -> None:
    for program in ("rustc", "cargo"):
        script(checkout.parent / "bin" / program, f"echo {program} {RELEASE}")
    done = brought(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (checkout / ".rust").exists()
