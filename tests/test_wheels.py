"""Wheels that are built to be given away: what is in them, what they say of it, and nothing of who made them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import onnxhybrid as oh
from building import crates, pythons, wheel
from building.library import Built, require_anonymous
from building.targets import ARM64, NAMED, NATIVE, ROOT, X86_64, BuildError, Target

LIBRARY = b"a library that tells nothing"
NOTICES = {"rust-COPYRIGHT.html": b"what Rust says of its own library"}
BESIDE = {"a runtime": "its licence"}


def assembled(folder: Path, content: bytes = LIBRARY) -> Path:
    library = folder / "built"
    library.write_bytes(content)
    return wheel.assemble(X86_64, Built(library, "9.9.9", NOTICES, BESIDE), folder / "dist")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assembled(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def used() -> dict[str, crates.Crate]:
    return crates.compiled_in(X86_64)


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def of_info(path: Path, name: str) -> str:
    (found,) = [data for each, data in content(path).items() if each.endswith(f".dist-info/{name}")]
    return found.decode()


def test_a_wheel_is_named_for_the_platform_and_says_so(made: Path) -> None:
    assert made.name == f"onnxhybrid-{oh.__version__}-py3-none-{X86_64.tag}.whl"
    assert f"Root-Is-Purelib: false\nTag: py3-none-{X86_64.tag}\n" in of_info(made, "WHEEL")


def test_a_wheel_holds_the_library_and_every_file_of_the_package(made: Path) -> None:
    package = ROOT / "onnxhybrid"
    files = {
        path.relative_to(ROOT) for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    wanted = {path.as_posix() for path in files if path.parts[1] != "lib"}
    found = {name: data for name, data in content(made).items() if not name.split("/")[0].endswith(".dist-info")}
    assert set(found) == wanted | {"onnxhybrid/lib/libonnxhybrid.so"}
    assert found["onnxhybrid/lib/libonnxhybrid.so"] == LIBRARY


def test_pip_takes_it_for_the_platform_and_finds_every_file_as_recorded(made: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    platform = ["--only-binary=:all:", f"--platform={X86_64.tag}"]
    subprocess.run([*pip, *platform, "--target", str(tmp_path), str(made)], check=True)
    assert (tmp_path / "onnxhybrid" / "lib" / "libonnxhybrid.so").read_bytes() == LIBRARY
    listed = {row[0] for row in csv.reader(io.StringIO(of_info(made, "RECORD")))}
    assert listed == set(content(made))


def test_the_same_wheel_has_the_same_bytes(made: Path, tmp_path: Path) -> None:
    assert assembled(tmp_path).read_bytes() == made.read_bytes()


def test_a_library_that_names_where_it_was_built_is_refused(tmp_path: Path) -> None:
    library = tmp_path / "built"
    library.write_bytes(b"\0" + str(ROOT / "native" / "src" / "lib.rs").encode())
    with pytest.raises(BuildError, match=re.escape(str(ROOT))):
        require_anonymous(library)
    with pytest.raises(BuildError, match=re.escape(str(ROOT))):
        assembled(tmp_path, library.read_bytes())


def test_the_crates_of_a_wheel_are_those_that_cargo_compiles_in(used: dict[str, crates.Crate]) -> None:
    options = ["--locked", "--edges=normal,no-proc-macro", "--prefix=none", f"--target={X86_64.triple}"]
    command = ["cargo", "tree", *options, "--format={p}"]
    said = subprocess.run(command, cwd=NATIVE, capture_output=True, text=True, check=True).stdout
    tree = {tuple(line.split()[:2]) for line in said.splitlines() if line.strip()}
    assert {(crate.name, f"v{crate.version}") for crate in used.values()} >= tree
    assert "proptest" not in {crate.name for crate in used.values()}


def test_the_list_of_crates_names_each_with_licence_and_checksum(made: Path, used: dict[str, crates.Crate]) -> None:
    listed = json.loads(of_info(made, "sboms/onnxhybrid.cyclonedx.json"))
    assert {part["purl"] for part in listed["components"]} == {
        crate.url for crate in used.values() if crate.folder != NATIVE
    }
    for part in listed["components"]:
        assert re.fullmatch("[0-9a-f]{64}", part["hashes"][0]["content"])
        assert re.fullmatch(r"[\w.()-]+( (OR|AND|WITH) [\w.()-]+)*", part["licenses"][0]["expression"])
    known = {part["purl"] for part in listed["components"]} | {listed["metadata"]["component"]["purl"]}
    assert {name for each in listed["dependencies"] for name in (each["ref"], *each["dependsOn"])} == known


def test_the_licences_of_all_that_is_linked_are_in_the_wheel(made: Path, used: dict[str, crates.Crate]) -> None:
    said = of_info(made, "licenses/LICENSES-of-crates.txt")
    files = re.findall("^License-File: (.+)$", of_info(made, "METADATA"), re.MULTILINE)
    assert files == ["LICENSE", "LICENSES-of-crates.txt", "rust-COPYRIGHT.html"]
    assert of_info(made, "licenses/rust-COPYRIGHT.html").encode() == NOTICES["rust-COPYRIGHT.html"]
    assert "The standard library of Rust 9.9.9" in said
    assert of_info(made, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    for crate in used.values():
        if crate.folder != NATIVE:
            assert f"\n{crate.name} {crate.version}: {crate.licence}\n" in said
            for path in crate.folder.glob("LICENSE*"):
                assert path.is_dir() or path.read_text(encoding="utf-8").strip() in said
    assert "a runtime\n" in said
    assert "its licence" in said


def test_a_tag_says_the_c_library_that_is_linked_against() -> None:
    assert Target("x", "manylinux_2_17_y").glibc == "2.17"
    assert X86_64.tag == f"manylinux_{X86_64.glibc.replace('.', '_')}_x86_64"


def test_interpreters_that_are_found_are_of_the_release_that_they_are_named_for() -> None:
    found = pythons.found()
    assert found
    for release, interpreter in found.items():
        said = subprocess.check_output(
            [interpreter, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], text=True
        )
        assert said.strip() == release


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the compiler is a shell script")
def test_a_platform_that_no_rust_is_found_for_is_told_with_what_was_tried(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "building", tmp_path / "building")
    shutil.copy(ROOT / "setup.py", tmp_path)
    rustc = tmp_path / "bin" / "rustc"
    rustc.parent.mkdir()
    rustc.write_text("#!/bin/sh\nprintf %s /nowhere\n")
    rustc.chmod(0o755)
    program = "from building import standard, targets; standard.compiler(targets.ARM64)"
    alone = {"PATH": str(rustc.parent), "RUSTUP_UPDATE_ROOT": "http://127.0.0.1:1"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | alone, capture_output=True, text=True, check=False)
    *_, told = done.stderr.splitlines()
    for part in ("BuildError", ARM64.triple, "http://127.0.0.1:1 is not to be reached", "this is no Debian"):
        assert part in told


def test_a_platform_without_glibc_names_no_release_of_it() -> None:
    assert {target.linked for target in NAMED.values()} == {
        "x86_64-unknown-linux-gnu.2.17",
        "aarch64-unknown-linux-gnu.2.17",
        "x86_64-pc-windows-gnu",
    }


@pytest.mark.parametrize("target", NAMED.values(), ids=list(NAMED))
def test_what_is_compiled_in_is_that_of_the_platform(target: Target) -> None:
    names = {crate.name for crate in crates.compiled_in(target).values()}
    assert ("windows-sys" in names) == (target.library == "onnxhybrid.dll")
    assert ("linux-raw-sys" in names) == bool(target.glibc)
