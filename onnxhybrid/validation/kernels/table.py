"""The kernels of releases of ONNX Runtime, as each lists its own: see `benchmarks.kernels`, which writes the file.

`kernels.json` has, by domain and operator, a row for each kernel: the first and last opset (null: open), the first and
last release that has it, and for each type parameter which of the lists of types it takes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from onnxhybrid.model.opsets import standard
from onnxhybrid.model.schemas import since_version

OPEN = 2**31 - 1
"""The last opset of a kernel that is registered without one."""

Release = tuple[int, int]
Operator = tuple[str, str]
"""Domain and name"""


@dataclass(frozen=True)
class Kernel:
    """A kernel: its opsets, and the types that it takes by type parameter, or by the name of an input or output."""

    first: int
    last: int
    types: Mapping[str, frozenset[str]]

    def covers(self, since: int) -> bool:
        """Whether it is for the version of its operator that this opset brought.

        One without a last opset is for the version that it begins with alone: the next one may differ.
        """
        return self.first == since or (self.first < since <= self.last < OPEN)


@dataclass(frozen=True)
class Formals:
    """The inputs and outputs of an operator that onnx does not define, each with its name and type parameter."""

    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Table:
    """What one runtime has.

    Attributes:
        kernels: its kernels on the CPU.
        operators: the operators of its own domains.
        later: versions of standard operators that it does not know, in opsets that it reads.
        release: which release it is.
    """

    kernels: Mapping[Operator, tuple[Kernel, ...]]
    operators: Mapping[Operator, Formals] = field(default_factory=dict)
    later: frozenset[tuple[str, str, int]] = frozenset()
    release: Release = (1, 0)

    def of(self, domain: str, operator: str) -> tuple[Kernel, ...]:
        """The kernels of an operator."""
        return self.kernels.get((domain, operator), ())

    def since(self, domain: str, operator: str, version: int) -> int:
        """The opset that brought what an operator is to the runtime in a version of its domain; 0 where it has none."""
        since = since_version(domain, operator, version) if version else 0
        while since and (domain, operator, since) in self.later:
            since = since_version(domain, operator, since - 1) if since > 1 else 0
        return since


@functools.cache
def of_release(release: Release) -> Table:
    """The table of a release; of one before the first that is listed, that one's."""
    data = _data()
    releases = [_release(text) for text in data["releases"]]
    place = max((n for n, each in enumerate(releases) if each <= release), default=0)
    types = [frozenset(listed) for listed in data["types"]]
    kernels = {
        (domain, operator): tuple(_kernel(row, types) for row in rows if row[2] <= place <= row[3])
        for domain, operators in data["kernels"].items()
        for operator, rows in operators.items()
    }
    operators = {
        (domain, name): Formals(*(tuple(map(tuple, formals)) for formals in row[2:]))
        for domain, rows in data["operators"].items()
        for name, row in rows.items()
        if row[0] <= place <= row[1]
    }
    later = frozenset((*row[:3],) for row in data["later_versions"] if row[3] <= place <= row[4])
    return Table(kernels, operators, later, release)


def _kernel(row: list[Any], types: list[frozenset[str]]) -> Kernel:
    first, last, _, _, constraints = row
    return Kernel(first, OPEN if last is None else last, {name: types[place] for name, place in constraints.items()})


def _release(text: str) -> Release:
    major, minor = text.split(".")
    return int(major), int(minor)


@functools.cache
def _data() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(__package__).joinpath("kernels.json").read_text(encoding="utf-8"))
    return found


@functools.cache
def installed() -> Table | None:
    """What the installed runtime says itself; None where a build does not list its kernels."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    listed = getattr(state, "get_all_opkernel_def", None)
    schemas = getattr(state, "get_all_operator_schema", None)
    if listed is None or schemas is None:
        return None
    return asked(listed(), schemas(), _release(".".join(onnxruntime.__version__.split(".")[:2])))


def asked(listed: Any, schemas: Any, release: Release) -> Table:
    """The table of what a runtime lists: its kernels, and the schemas of its operators."""
    kernels: dict[Operator, list[Kernel]] = {}
    for each in listed:
        if each.provider == "CPUExecutionProvider":
            types = {name: frozenset(kinds) for name, kinds in each.type_constraints.items()}
            kernels.setdefault((standard(each.domain), each.op_name), []).append(
                Kernel(each.version_range[0], each.version_range[1], types)
            )
    operators = {
        (schema.domain, schema.name): Formals(_formals(schema.inputs), _formals(schema.outputs))
        for schema in schemas
        if standard(schema.domain) not in ("", "ai.onnx.ml")
    }
    found = {operator: tuple(rows) for operator, rows in kernels.items()}
    return Table(found, operators, later_versions(schemas), release)


def _formals(listed: Any) -> tuple[tuple[str, str], ...]:
    return tuple((each.name, each.typeStr) for each in listed)


def later_versions(schemas: Any) -> frozenset[tuple[str, str, int]]:
    """The versions of operators that the installed onnx has, and a runtime lacks, in opsets that the runtime reads.

    The opset in which an operator changed may be a released one: a runtime that was built before reads it otherwise.
    """
    from onnx import defs

    theirs = {(standard(schema.domain), schema.name, schema.since_version) for schema in schemas}
    newest: dict[str, int] = {}
    for domain, _, since in theirs:
        newest[domain] = max(since, newest.get(domain, 0))
    ours = {(each.domain, each.name, each.since_version) for each in defs.get_all_schemas_with_history()}
    return frozenset(each for each in ours - theirs if each[0] in ("", "ai.onnx.ml") and each[2] <= newest[each[0]])
