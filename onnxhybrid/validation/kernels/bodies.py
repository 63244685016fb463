"""The functions by which the standard defines operators, as graphs of their own for a node's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from onnx import FunctionProto, ModelProto, NodeProto, TypeProto, ValueInfoProto, defs, helper

from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.schemas import since_version

_IR = 10  # of a graph that is never saved


def body(node: NodeProto, version: int, reads: Sequence[TypeProto]) -> ModelProto | None:
    """What an operator consists of in a version of its domain, for what a node reads; None where it is no function.

    Args:
        node: the node.
        version: the opset that the model imports.
        reads: the types of its inputs; empty ones where one is not known or not given.
    """
    schema: Any = defs.get_schema(node.op_type, version, standard(node.domain))
    function = _function(schema, node, version, reads)
    if function is None or not function.node:
        return None
    imports = {standard(entry.domain): entry.version for entry in function.opset_import} | {"": version}
    return instance(function, node, reads, imports if not standard(node.domain) else opsets_of(function.opset_import))


def instance(
    function: FunctionProto,
    node: NodeProto,
    reads: Sequence[TypeProto],
    opsets: Mapping[str, int],
    functions: Iterable[FunctionProto] = (),
) -> ModelProto:
    """A function's body as a model, with what one call gives it: the types of inputs, and attributes.

    Args:
        function: the function.
        node: the call.
        reads: the types of the call's inputs; empty ones where one is not known or not given.
        opsets: the versions of domains that hold in the body.
        functions: those that the body may call itself.
    """
    actual = dict(zip(function.input, zip(node.input, reads, strict=True), strict=False))
    inputs = [_declared(name, kind) for name, (given, kind) in actual.items() if given]
    outputs = [helper.make_empty_tensor_value_info(name) for name in function.output]
    graph = helper.make_graph([*function.node], "body", inputs, outputs)
    _bind(graph.node, node, function, {name for name in function.input if not actual.get(name, [""])[0]})
    imports = [helper.make_opsetid(domain, number) for domain, number in opsets.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=_IR, functions=list(functions))


def _function(schema: Any, node: NodeProto, version: int, reads: Sequence[TypeProto]) -> FunctionProto | None:
    try:
        if schema.has_context_dependent_function:
            kinds = [kind.SerializeToString() for kind in reads]
            written = _newest(schema.context_dependent_function_opset_versions, version)
            data = schema.get_context_dependent_function_with_opset_version(written, node.SerializeToString(), kinds)
            return _parsed(data)
        if schema.has_function:
            written = _newest(schema.function_opset_versions, version)
            function = _parsed(schema.get_function_with_opset_version(written))
            return function if standard(node.domain) or _holds(function, written, version) else None
    except (RuntimeError, ValueError):
        return None
    return None


def _parsed(data: bytes) -> FunctionProto:
    function = FunctionProto()
    function.ParseFromString(data)
    return function


def _newest(versions: Sequence[int], version: int) -> int:
    return max((each for each in versions if each <= version), default=version)


def _holds(function: FunctionProto, written: int, version: int) -> bool:
    """Whether the operators of a body are in the imported opset what they were in that for which it was written.

    Where one is not, ONNX Runtime does not use the body.
    """
    return all(since_version("", n.op_type, written) == since_version("", n.op_type, version) for n in function.node)


def _declared(name: str, kind: TypeProto) -> ValueInfoProto:
    known = kind.WhichOneof("value") is not None
    return ValueInfoProto(name=name, type=kind) if known else helper.make_empty_tensor_value_info(name)


def _bind(nodes: Any, node: NodeProto, function: FunctionProto, absent: set[str]) -> None:
    """Give the body's nodes the attributes of the call, or their defaults, and take away inputs that were not given."""
    values = {entry.name: entry for entry in (*function.attribute_proto, *node.attribute)}
    for inner in nodes_of(nodes):
        for position, name in enumerate(inner.input):
            if name in absent:
                inner.input[position] = ""
        for place in reversed(range(len(inner.attribute))):
            entry = inner.attribute[place]
            if not entry.ref_attr_name:
                continue
            name, value = entry.name, values.get(entry.ref_attr_name)
            if value is None:
                del inner.attribute[place]
            else:
                entry.CopyFrom(value)
                entry.name = name
