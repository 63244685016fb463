"""A wheel out of the package and a library that is built: the same bytes from the same sources, wherever it is made."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from building import crates
from building.library import Built, named_places
from building.targets import DIST, ROOT, BuildError, Target

_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip file knows
_LICENCES = "LICENSES-of-crates.txt"


def assemble(target: Target, library: Built, dist: Path = DIST) -> Path:
    """Write the wheel of a target; gives its path.

    Args:
        target: the platform.
        library: what was built for it.
        dist: the folder that the wheel is put into.

    Raises:
        BuildError: it names a folder of this machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        pure = _without_library(Path(folder))
        with zipfile.ZipFile(pure) as archive:
            content = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}
    (info,) = {name.partition("/")[0] for name in content if ".dist-info/" in name}
    content |= _added(target, library, info)
    files = "".join(f"License-File: {name}\n" for name in ("LICENSE", _LICENCES, *library.notices))
    for name, (old, new) in {
        "WHEEL": (b"Root-Is-Purelib: true\nTag: py3-none-any", f"Root-Is-Purelib: false\nTag: {_tag(target)}".encode()),
        "METADATA": (b"License-File: LICENSE\n", files.encode()),
    }.items():
        content[f"{info}/{name}"] = _replaced(content[f"{info}/{name}"], old, new)
    for name, data in content.items():
        if named_places(data):
            raise BuildError(f"{name} names {', '.join(named_places(data))}, where the wheel was made")
    path = dist / f"{info.removesuffix('.dist-info')}-{_tag(target)}.whl"
    path.parent.mkdir(exist_ok=True)
    _write(path, content, f"{info}/RECORD")
    return path


def _without_library(folder: Path) -> Path:
    """The package as setuptools makes it, but for the library."""
    base = f"--egg-base={folder}", "build", f"--build-base={folder / 'build'}", "bdist_wheel"
    folders = f"--bdist-dir={folder / 'bdist'}", f"--dist-dir={folder / 'dist'}"
    command = [sys.executable, "setup.py", "--quiet", "egg_info", *base, *folders]
    environment = os.environ | {"ONNXHYBRID_WITHOUT_LIBRARY": "yes"}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if made.returncode:
        raise BuildError(made.stderr)
    return next((folder / "dist").iterdir())


def _tag(target: Target) -> str:
    return f"py3-none-{target.tag}"


def _added(target: Target, library: Built, info: str) -> dict[str, bytes]:
    """The library, and what is to be said of the crates in it (PEP 639 and PEP 770 say where)."""
    used = crates.compiled_in(target)
    return {
        f"onnxhybrid/lib/{target.library}": library.path.read_bytes(),
        f"{info}/licenses/{_LICENCES}": crates.licences(used, library.beside, library.rust).encode(),
        f"{info}/sboms/onnxhybrid.cyclonedx.json": crates.listed(used).encode(),
        **{f"{info}/licenses/{name}": data for name, data in library.notices.items()},
    }


def _replaced(text: bytes, old: bytes, new: bytes) -> bytes:
    if text.count(old) != 1:
        raise BuildError(f"setuptools writes no {old.decode()!r} into a wheel any more")
    return text.replace(old, new)


def _write(path: Path, content: dict[str, bytes], record: str) -> None:
    """Write files in the order of their names, the record of their hashes last, all of one time."""
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(content, key=lambda each: (".dist-info/" in each, each)):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content[name]).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content[name])}\n")
            archive.writestr(_entry(name), content[name])
        archive.writestr(_entry(record), "".join((*lines, f"{record},,\n")))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 3  # Unix, whose modes these are
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if name.startswith("onnxhybrid/lib/") else 0o100644) << 16
    return entry
