"""The crates that are compiled into the library: their licences as a text, and the list of them that auditors read."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from building.targets import NATIVE, ROOT, Target

_LICENCE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)


@dataclass(frozen=True)
class Crate:
    """A crate, where its sources lie, its licence as an SPDX expression, and those that it uses."""

    name: str
    version: str
    licence: str
    folder: Path
    uses: tuple[str, ...]

    @property
    def url(self) -> str:
        """Its package URL, by which lists name it."""
        return f"pkg:cargo/{self.name}@{self.version}"


def compiled_in(target: Target) -> dict[str, Crate]:
    """The crates of the library by cargo's identifiers, our own first: no test's, no build script's, no macro's."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target.triple}"]
    said = json.loads(subprocess.run(command, cwd=NATIVE, capture_output=True, check=True).stdout)
    packages = {each["id"]: each for each in said["packages"]}
    nodes = {each["id"]: each for each in said["resolve"]["nodes"]}
    found: dict[str, Crate] = {}
    left = [said["resolve"]["root"]]
    while left:
        name = left.pop()
        if name not in found and not _is_macro(packages[name]):
            uses = sorted(_used(nodes[name]))
            uses = [each for each in uses if not _is_macro(packages[each])]
            found[name] = _crate(packages[name], [packages[each] for each in uses])
            left += uses
    return found


def _used(node: dict[str, Any]) -> list[str]:
    return [each["pkg"] for each in node["deps"] if any(kind["kind"] is None for kind in each["dep_kinds"])]


def _is_macro(package: dict[str, Any]) -> bool:
    return any("proc-macro" in each["kind"] for each in package["targets"])


def _crate(package: dict[str, Any], uses: list[dict[str, Any]]) -> Crate:
    folder = Path(package["manifest_path"]).parent
    names = tuple(f"pkg:cargo/{each['name']}@{each['version']}" for each in uses)
    return Crate(package["name"], package["version"], package["license"] or "see its text", folder, names)


def licences(crates: dict[str, Crate], beside: Mapping[str, str], rust: str) -> str:
    """The texts of the licences, each once, below the crates that it is of, and of what else is linked, by name."""
    own, *others = sorted(crates.values(), key=lambda each: (each.folder != NATIVE, each.name, each.version))
    holders: dict[str, list[str]] = defaultdict(list)
    for crate in others:
        for text in _texts(crate):
            holders[text].append(f"{crate.name} {crate.version} ({crate.licence})")
    for name, text in beside.items():
        holders[text].append(name)
    named = [f"{crate.name} {crate.version}: {crate.licence}" for crate in others]
    head = (
        f"What is compiled into the library of onnxhybrid {own.version} beside its own code, with licences.\n\n"
        f"The standard library of Rust {rust}: MIT OR Apache-2.0, copyright The Rust Project Contributors\n"
    )
    sections = [f"{'=' * 80}\n{chr(10).join(names)}\n{'-' * 80}\n{text}\n" for text, names in holders.items()]
    return "\n".join((head + "\n".join(named) + "\n", *sections))


def _texts(crate: Crate) -> list[str]:
    files = sorted(path for path in crate.folder.iterdir() if path.is_file() and _LICENCE.match(path.name))
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in files]


def listed(crates: dict[str, Crate]) -> str:
    """The crates as CycloneDX has them, with the checksums of `Cargo.lock`."""
    sums = _checksums()
    own, *others = sorted(crates.values(), key=lambda each: (each.folder != NATIVE, each.name, each.version))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _component(own, sums)},
        "components": [_component(each, sums) for each in others],
        "dependencies": [{"ref": each.url, "dependsOn": sorted(each.uses)} for each in (own, *others)],
    }
    return json.dumps(document, indent=1) + "\n"


def _component(crate: Crate, sums: dict[tuple[str, str], str]) -> dict[str, Any]:
    digest = sums.get((crate.name, crate.version))
    return {
        "type": "library",
        "bom-ref": crate.url,
        "name": crate.name,
        "version": crate.version,
        "purl": crate.url,
        "licenses": [{"expression": re.sub(r"\s*/\s*", " OR ", crate.licence)}],
        **({"hashes": [{"alg": "SHA-256", "content": digest}]} if digest else {}),
    }


def _checksums() -> dict[tuple[str, str], str]:
    text = (ROOT / "native" / "Cargo.lock").read_text(encoding="utf-8")
    entries = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"', text)
    return {(name, version): digest for name, version, digest in entries}
