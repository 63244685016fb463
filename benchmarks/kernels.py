"""What past releases of ONNX Runtime have kernels for, as each of them lists it.

python -m benchmarks.kernels   # writes onnxhybrid/validation/kernels/kernels.json; into .corpus/runtimes/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxhybrid.validation.kernels
from benchmarks.matrix import runtimes
from onnxhybrid.model.opsets import standard
from onnxhybrid.validation.kernels.table import OPEN, later_versions

RELEASES = (
    *("1.16.3", "1.17.3", "1.18.1", "1.19.2", "1.20.1", "1.21.1", "1.22.1", "1.23.2", "1.24.4"),
    *("1.25.1", "1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.1", "1.32.0"),
)
"""1.14 and 1.15 do not tell."""

TABLE = Path(onnxhybrid.validation.kernels.__file__).with_name("kernels.json")

_LIST = """
import json
from onnxruntime.capi import onnxruntime_pybind11_state as state
formals = lambda listed: [[each.name, each.typeStr] for each in listed]
kernels = [k for k in state.get_all_opkernel_def() if k.provider == "CPUExecutionProvider"]
print(json.dumps({
    "kernels": [[k.domain, k.op_name, *k.version_range, k.type_constraints] for k in kernels],
    "schemas": [
        [s.domain, s.name, s.since_version, formals(s.inputs), formals(s.outputs)]
        for s in state.get_all_operator_schema()
    ],
}))
"""

Listed = dict[str, list[Any]]


def main() -> None:
    """Write the table."""
    told = [_told(release) for release in RELEASES]
    TABLE.write_text("".join(f"{line}\n" for line in _lines(told)), encoding="utf-8")


def _lines(told: list[Listed]) -> Iterator[str]:
    """The table as JSON, an operator a line, so that a renewed one can be compared with the one before."""
    types: dict[tuple[str, ...], int] = {}
    kernels = _kernels(told, types)
    yield '{"releases": ' + json.dumps([release.rpartition(".")[0] for release in RELEASES]) + ","
    yield '"types": ['
    yield from _joined(json.dumps(kinds) for kinds in types)
    yield '],\n"kernels": {'
    yield from _nested(kernels)
    yield '},\n"operators": {'
    yield from _nested(_operators(told))
    yield '},\n"later_versions": ['
    yield from _joined(json.dumps(row) for row in _later(told))
    yield "]}"


def _nested(table: dict[str, dict[str, Any]]) -> Iterator[str]:
    for domain, last in _with_last(sorted(table)):
        yield f"{json.dumps(domain)}: {{"
        yield from _joined(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(table[domain].items()))
        yield "}" if last else "},"


def _joined(lines: Iterable[str]) -> Iterator[str]:
    return (line if last else f"{line}," for line, last in _with_last(list(lines)))


def _with_last(entries: list[str]) -> Iterator[tuple[str, bool]]:
    return ((entry, position == len(entries) - 1) for position, entry in enumerate(entries))


def _kernels(told: list[Listed], types: dict[tuple[str, ...], int]) -> dict[str, dict[str, list[Any]]]:
    """The kernels by domain and operator; `types` is filled with the lists of types that they name by number."""
    places: dict[str, list[int]] = {}
    for place, listed in enumerate(told):
        for domain, operator, first, last, constraints in listed["kernels"]:
            numbers = {name: types.setdefault(tuple(sorted(k)), len(types)) for name, k in sorted(constraints.items())}
            row = [standard(domain), operator, first, None if last == OPEN else last, numbers]
            places.setdefault(json.dumps(row), []).append(place)
    found: dict[str, dict[str, list[Any]]] = {}
    for key, releases in sorted(places.items()):
        domain, operator, first, last, numbers = json.loads(key)
        rows = found.setdefault(domain, {}).setdefault(operator, [])
        rows += [[first, last, *span, numbers] for span in _spans(releases)]
    return found


def _spans(places: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of releases that follow each other."""
    start = places[0]
    for place, following in zip(places, (*places[1:], -1), strict=True):
        if following != place + 1:
            yield start, place
            start = following


def _operators(told: list[Listed]) -> dict[str, dict[str, list[Any]]]:
    """The operators of the runtime's own domains: the first and last release, then what the newest one takes."""
    found: dict[str, dict[str, list[Any]]] = {}
    for place, listed in enumerate(told):
        for domain, name, _, inputs, outputs in listed["schemas"]:
            if standard(domain) not in ("", "ai.onnx.ml"):
                rows = found.setdefault(domain, {})
                rows[name] = [rows.get(name, [place])[0], place, inputs, outputs]
    return found


def _later(told: list[Listed]) -> list[list[Any]]:
    """Versions of operators that a runtime lacks, in opsets that it reads, and the first and last release of these."""
    places: dict[tuple[str, str, int], list[int]] = {}
    for place, listed in enumerate(told):
        schemas = [SimpleNamespace(domain=row[0], name=row[1], since_version=row[2]) for row in listed["schemas"]]
        for version in later_versions(schemas):
            places.setdefault(version, []).append(place)
    return [[*version, *span] for version, releases in sorted(places.items()) for span in _spans(releases)]


def _told(release: str) -> Listed:
    """What a release lists."""
    told = runtimes.run(release, _LIST, [])
    if told.returncode:
        raise RuntimeError(f"onnxruntime {release} does not tell:\n{told.stderr}")
    listed: Listed = json.loads(told.stdout)
    return listed


if __name__ == "__main__":
    main()
