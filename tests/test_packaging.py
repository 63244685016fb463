"""What is installed: the library as a plain shared library in a wheel for every Python, types, and nothing heavy."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import onnxhybrid as oh

ROOT = Path(__file__).parents[1]
LIBRARY = {"win32": "onnxhybrid.dll", "darwin": "libonnxhybrid.dylib"}.get(sys.platform, "libonnxhybrid.so")


def setup_py(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "setup.py", "--quiet", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the work tree; what cargo has built for the installation already is not built again."""
    folder = tmp_path_factory.mktemp("wheel")
    egg_info, build = ["egg_info", f"--egg-base={folder}"], ["build", f"--build-base={folder / 'build'}"]
    made = setup_py(
        *egg_info, *build, "bdist_wheel", f"--bdist-dir={folder / 'bdist'}", f"--dist-dir={folder / 'dist'}"
    )
    assert made.returncode == 0, made.stderr
    return next((folder / "dist").iterdir())


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a source distribution that is made in a tree where everything has been built."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    unwanted = shutil.ignore_patterns(".*", "target", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, tree, ignore=unwanted)
    for built in ("native/target/release/libonnxhybrid.so", "onnxhybrid/lib/libonnxhybrid.so", ".venv/bin/python"):
        (tree / built).parent.mkdir(parents=True, exist_ok=True)
        (tree / built).touch()
    made = setup_py("sdist", f"--dist-dir={folder / 'dist'}", cwd=tree)
    assert made.returncode == 0, made.stderr
    with tarfile.open(next((folder / "dist").iterdir())) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def test_a_wheel_serves_every_python_of_its_platform(wheel: Path) -> None:
    assert re.fullmatch(r"onnxhybrid-[\d.]+-py3-none-(?!any)\w+\.whl", wheel.name)


def test_a_wheel_holds_the_library_under_the_platforms_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert [name for name in names if name.startswith("onnxhybrid/lib/")] == [f"onnxhybrid/lib/{LIBRARY}"]


def test_a_wheel_holds_the_c_header(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "onnxhybrid/include/onnxhybrid.h" in archive.namelist()


def test_a_wheel_tells_type_checkers_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "onnxhybrid/py.typed" in archive.namelist()


def test_a_wheel_holds_nothing_but_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"onnxhybrid"}


def test_the_sources_hold_what_a_build_needs(sources: list[str]) -> None:
    needed = {
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "native/Cargo.toml",
        "native/Cargo.lock",
    }
    assert needed <= set(sources)
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "native" / "src").rglob("*.rs")} <= set(sources)


def test_the_sources_hold_nothing_that_was_built(sources: list[str]) -> None:
    assert [name for name in sources if "target" in name.split("/") or name.startswith(("onnxhybrid/lib/", "."))] == []
    assert [name for name in sources if name.endswith((".so", ".dylib", ".dll", ".pyc"))] == []


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins for the toolchain are shell scripts")
@pytest.mark.parametrize(("version", "found"), [("1.70.0", "Rust 1.70.0 was found"), (None, "none was found")])
def test_a_missing_or_old_rust_is_one_sentence(tmp_path: Path, version: str | None, found: str) -> None:
    for program in ("rustc", "cargo"):
        script = tmp_path / program
        script.write_text(f"#!/bin/sh\n{f'echo {program} {version}' if version else 'exit 1'}\n")
        script.chmod(0o755)
    made = setup_py("bdist_wheel", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert made.returncode == 1
    [sentence] = made.stderr.splitlines()
    assert found in sentence
    assert "https://rustup.rs" in sentence


def test_every_part_says_the_same_version() -> None:
    declared = configparser.ConfigParser(interpolation=None)
    declared.read(ROOT / "setup.cfg")
    manifest = (ROOT / "native" / "Cargo.toml").read_text()
    [crate] = re.findall(r'\[package\][^\[]*?^version = "(.+)"', manifest, re.MULTILINE)
    assert declared["metadata"]["version"] == crate == oh.__version__


def requirements(path: Path) -> dict[str, Requirement]:
    """What a lock, or what it is made from, names for this interpreter and platform."""
    lines = (line.split(" #")[0].split(" \\")[0] for line in path.read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith(("#", " "))]
    return {each.name: each for each in found if each.marker is None or each.marker.evaluate()}


def declared_extra(name: str) -> list[Requirement]:
    """What the package asks for with an extra, those extras that it names included."""
    declared = configparser.ConfigParser(interpolation=None)
    declared.read(ROOT / "setup.cfg")
    texts = (declared["options"]["install_requires"] + declared["options.extras_require"][name]).strip().splitlines()
    direct = [Requirement(text) for text in texts]
    nested = [
        each
        for found in direct
        if found.name == "onnxhybrid"
        for extra in found.extras
        for each in declared_extra(extra)
    ]
    return [found for found in direct if found.name != "onnxhybrid"] + nested


LOCKS = sorted(ROOT.glob("requirements/*.txt"))
BUILT = sorted(set(LOCKS) - {ROOT / "requirements" / name for name in ("held.txt", "excluded.txt")})


@pytest.mark.parametrize("extra", ["demo", "test"])
def test_a_lock_holds_all_that_its_extra_and_the_build_ask_for(extra: str) -> None:
    locked = requirements(ROOT / "requirements" / f"{extra}.txt")
    wanted = declared_extra(extra) + list(requirements(ROOT / "requirements" / "build.in").values())
    for requirement in wanted:
        if requirement.marker is None or requirement.marker.evaluate():
            (pin,) = locked[requirement.name].specifier
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), f"make lock: {requirement}, and the lock has {pin}"


def test_the_demo_runs_with_what_the_tests_run_with() -> None:
    demo, test = (requirements(ROOT / "requirements" / f"{name}.txt") for name in ("demo", "test"))
    assert {name: str(each.specifier) for name, each in demo.items()}.items() <= {
        name: str(each.specifier) for name, each in test.items()
    }.items()


def test_what_builds_the_package_is_named_the_same_twice() -> None:
    (line,) = re.findall(r"^requires = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert re.findall('"(.*?)"', line) == [
        str(each) for each in requirements(ROOT / "requirements" / "build.in").values()
    ]


@pytest.mark.parametrize("path", BUILT, ids=lambda path: path.stem)
def test_every_package_of_a_lock_is_named_by_version_and_hash_and_by_no_host(path: Path) -> None:
    text = path.read_text()
    entries = re.findall(r"^[^#\s](?:.*\\\n)*.*$", text, re.MULTILINE)
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==[\w.]+( ;.*)? \\\n", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in text


def test_the_library_lies_where_the_package_says() -> None:
    path = Path(oh.library_path())
    assert path.is_file()
    assert os.environ.get("ONNXHYBRID_LIBRARY") or path.name == LIBRARY


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ["onnxruntime", "onnx_graphsurgeon", "starlette", "uvicorn", "sklearn", "skl2onnx", "matplotlib", "asyncio"]
    program = f"import onnxhybrid, sys; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
