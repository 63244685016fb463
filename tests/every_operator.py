"""Every operator that onnx knows, in every version and with many attributes, behind one that it does not know."""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper

_KIND = defs.OpSchema.AttrType
_MANY = 14
"""Of an operator with more optional attributes, no pairs are tried."""

UNKNOWN = "com.example.unknown"


def every_schema() -> list[defs.OpSchema]:
    """Each version of each operator, those of old opsets included."""
    return sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version))


def nodes(schema: defs.OpSchema, reads: str = "unknown") -> list[NodeProto]:
    """The operator with its attributes in turn, alone, in pairs and all together, reading one tensor everywhere."""
    found = []
    lengths = sorted({schema.min_input, min(schema.max_input, len(schema.inputs)) if schema.inputs else 0})
    outputs = min(schema.max_output, max(schema.min_output, len(schema.outputs)))
    for number, (attributes, length) in enumerate(itertools.product(_choices(schema), lengths)):
        written = [f"{number}/{position}" for position in range(outputs)]
        found.append(helper.make_node(schema.name, [reads] * length, written, domain=schema.domain, **attributes))
    return found


def _choices(schema: defs.OpSchema) -> Iterator[dict[str, Any]]:
    values = {name: _values(attribute.type) for name, attribute in schema.attributes.items()}
    values = {name: choice for name, choice in values.items() if choice}
    needed = {name: choice[0] for name, choice in values.items() if schema.attributes[name].required}
    optional = [name for name in values if name not in needed]
    yield {}
    yield needed
    yield {name: choice[0] for name, choice in values.items()}
    for name, choice in values.items():
        yield from (needed | {name: value} for value in choice)
    if len(optional) <= _MANY:
        for one, two in itertools.combinations(optional, 2):
            yield from (needed | {one: first, two: values[two][0]} for first in values[one])


def _values(kind: defs.OpSchema.AttrType) -> Sequence[Any]:
    """Values of an attribute's kind; as a number of an element type they are float, int64 and string."""
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    return {
        _KIND.INT: (1, 7, 8, 0, -1),
        _KIND.FLOAT: (0.5,),
        _KIND.STRING: ("x", "linear", "ij->ji"),
        _KIND.INTS: ([1], [0, 1], [1, 1, 1, 1]),
        _KIND.FLOATS: ([0.5],),
        _KIND.STRINGS: (["a"],),
        _KIND.TENSOR: tuple(map(_tensor, (np.ones(1, np.float32), np.ones(1, np.int64), np.array(["a"], object)))),
        _KIND.GRAPH: (_graph(),),
        _KIND.GRAPHS: ([_graph()],),
        _KIND.TYPE_PROTO: (tensor, helper.make_sequence_type_proto(tensor)),
        _KIND.SPARSE_TENSOR: (helper.make_sparse_tensor(_tensor(np.ones(1)), _tensor(np.zeros(1, np.int64)), [3]),),
    }.get(kind, ())


def _tensor(array: Any) -> TensorProto:
    return numpy_helper.from_array(array, "value")


def _graph() -> GraphProto:
    node = helper.make_node("Unknown", ["inner in"], ["inner out"], domain=UNKNOWN)
    return helper.make_graph([node], "inner", [], [helper.make_empty_tensor_value_info("inner out")])


def in_main(schema: defs.OpSchema) -> ModelProto:
    """All nodes of an operator in one graph."""
    return _model(schema, helper.make_graph(_behind_unknown(schema), "g", [], []))


def in_branches(schema: defs.OpSchema) -> ModelProto:
    """All of them in a branch of an If, which takes the unknown from outside."""
    first, *rest = _behind_unknown(schema)
    given = helper.make_empty_tensor_value_info(rest[-1].output[0])
    other = helper.make_node("Identity", ["unknown"], ["other"])
    chosen = helper.make_node(
        "If",
        ["c"],
        ["y"],
        then_branch=helper.make_graph(rest, "then", [], [given]),
        else_branch=helper.make_graph([other], "else", [], [helper.make_empty_tensor_value_info("other")]),
    )
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    return _model(schema, helper.make_graph([first, chosen], "g", [condition], []))


def in_loops(schema: defs.OpSchema) -> ModelProto:
    """All of them in the body of a Loop, and again in that of a Scan."""
    body = _behind_unknown(schema)
    given = helper.make_empty_tensor_value_info(body[-1].output[0])
    number, again = (
        helper.make_tensor_value_info(*value, []) for value in (("i", TensorProto.INT64), ("go", TensorProto.BOOL))
    )
    x, row = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [2, 3]), ("row", [3]))
    )
    loop = helper.make_node(
        "Loop", ["i", "go"], ["all"], body=helper.make_graph(body, "again", [number, again], [again, given])
    )
    scan = helper.make_node(
        "Scan", ["x"], ["scanned"], body=helper.make_graph(body, "each", [row], [given]), num_scan_inputs=1
    )
    return _model(schema, helper.make_graph([loop, scan], "g", [number, again, x], []))


def in_function(schema: defs.OpSchema) -> ModelProto:
    """All of them in a model-local function, which reads the unknown."""
    first, *rest = _behind_unknown(schema)
    imports = _imports(schema)
    written = [rest[-1].output[0]]
    function = helper.make_function("com.example", "Own", ["unknown"], written, rest, imports)
    call = helper.make_node("Own", ["unknown"], ["y"], domain="com.example")
    model = _model(schema, helper.make_graph([first, call], "g", [], []))
    model.functions.append(function)
    return model


PLACES: tuple[Callable[[defs.OpSchema], ModelProto], ...] = (in_main, in_branches, in_loops, in_function)


def _behind_unknown(schema: defs.OpSchema) -> list[NodeProto]:
    written = [node for node in nodes(schema) if node.output]
    return [helper.make_node("Unknown", [], ["unknown"], domain=UNKNOWN), *written]


def _imports(schema: defs.OpSchema) -> list[Any]:
    versions = {"": 17, UNKNOWN: 1, "com.example": 1} | {schema.domain: schema.since_version}
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]


def _model(schema: defs.OpSchema, graph: GraphProto) -> ModelProto:
    return helper.make_model(graph, opset_imports=_imports(schema), ir_version=10)


def deadly(jobs: Sequence[tuple[str, Callable[[], object]]], seconds: int = 60) -> list[str]:
    """The labels of those jobs that end their process, each found by halving; whatever a job raises is no such end."""
    if not jobs or _survives([job for _, job in jobs], seconds):
        return []
    if len(jobs) == 1:
        return [jobs[0][0]]
    half = len(jobs) // 2
    return deadly(jobs[:half], seconds) + deadly(jobs[half:], seconds)


def _survives(jobs: Sequence[Callable[[], object]], seconds: int) -> bool:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(seconds)
        for job in jobs:
            with contextlib.suppress(Exception):
                job()
    finally:
        os._exit(0)
