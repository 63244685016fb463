"""One node a model: the operators of the standard in each of their versions, for each type that a version takes.

The nodes come from the test cases of the onnx package, which has at least one for nearly every operator, so that each
reads what its operator wants. What is changed is the version, and one type at a time.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, defs, helper

from onnxhybrid.model.graphs import attribute_graphs
from onnxhybrid.model.opsets import standard
from onnxhybrid.validation.kernels.kinds import spelled
from tests.corpus import backend

_MOST = 6
"""Nodes of one operator that say different things."""

_NUMBERS = {f"tensor({name.lower()})": number for name, number in TensorProto.DataType.items() if number}
_OLDEST_IR, _NEWEST_IR = 8, 10
Template = tuple[NodeProto, Mapping[str, TypeProto]]


def singles(seed: int = 0) -> Iterator[tuple[str, ModelProto]]:
    """Every such model with a name, in a fixed order for a seed, which draws the opset that is imported."""
    draw = random.Random(seed)
    for (domain, operator), templates in sorted(_templates().items()):
        versions = sorted(_versions(domain, operator), key=lambda schema: schema.since_version)
        for schema, following in itertools.zip_longest(versions, versions[1:]):
            last = (following.since_version if following else _newest(domain) + 1) - 1
            if not schema.deprecated:
                for number, template in enumerate(templates):
                    opset = draw.randint(schema.since_version, last)
                    yield from _of(schema, template, opset, f"{operator} {schema.since_version} #{number}")


def _templates() -> dict[tuple[str, str], list[Template]]:
    """Nodes by operator, no two with the same attributes and number of inputs."""
    found: dict[tuple[str, str], dict[object, Template]] = {}
    for case in backend.cases():
        graph = case.proto.graph
        if len(graph.node) != 1 or graph.node[0].domain not in ("", "ai.onnx", "ai.onnx.ml"):
            continue
        (node,) = graph.node
        said = tuple(map(bool, node.input)), len(node.output), tuple(_told(entry) for entry in node.attribute)
        nodes = found.setdefault((standard(node.domain), node.op_type), {})
        if len(nodes) < _MOST:
            nodes.setdefault(said, (node, {value.name: value.type for value in (*graph.input, *graph.output)}))
    return {operator: list(nodes.values()) for operator, nodes in found.items()}


def _told(entry: AttributeProto) -> tuple[str, bytes]:
    return entry.name, entry.SerializeToString()


def _versions(domain: str, operator: str) -> Iterator[defs.OpSchema]:
    every = defs.get_all_schemas_with_history()
    return (each for each in every if (each.domain, each.name) == (domain, operator))


def _newest(domain: str) -> int:
    return defs.onnx_opset_version() if not domain else 5


def _of(schema: defs.OpSchema, template: Template, opset: int, name: str) -> Iterator[tuple[str, ModelProto]]:
    """One version of an operator with the types of the template, and with each other type in the place of one."""
    node, kinds = NodeProto(), template[1]
    node.CopyFrom(template[0])
    kept = [entry for entry in node.attribute if entry.name in schema.attributes]
    needed = {name for name, attribute in schema.attributes.items() if attribute.required}
    if not needed <= {entry.name for entry in kept} or not _has_places(schema, node):
        return
    del node.attribute[:]
    node.attribute.extend(kept)
    bound = _bound(schema, node, kinds)
    seen = set()
    for parameter, kind in [("", ""), *_choices(schema, bound, bool(attribute_graphs(node)))]:
        chosen = {**bound, parameter: kind} if parameter else bound
        model = _model(schema, node, kinds, chosen, opset)
        if model is not None and (data := model.SerializeToString()) not in seen:
            seen.add(data)
            yield f"{name} {parameter}={kind}" if parameter else name, model


def _has_places(schema: defs.OpSchema, node: NodeProto) -> bool:
    few = schema.min_input <= len(node.input) <= schema.max_input
    return few and schema.min_output <= len(node.output) <= schema.max_output


def _bound(schema: defs.OpSchema, node: NodeProto, kinds: Mapping[str, TypeProto]) -> dict[str, str]:
    """The types of the version's type parameters: the template's where the version takes it, another otherwise."""
    found: dict[str, str] = {}
    allowed = {each.type_param_str: sorted(each.allowed_type_strs) for each in schema.type_constraints}
    for side, names in ((schema.inputs, node.input), (schema.outputs, node.output)):
        for position, name in enumerate(names):
            if not name:
                continue
            parameter = side[min(position, len(side) - 1)].type_str
            kind = spelled(kinds[name]) if name in kinds else ""
            choices = allowed.get(parameter, [kind])
            found.setdefault(parameter, kind if kind in choices else choices[0])
    return found


def _choices(schema: defs.OpSchema, bound: Mapping[str, str], has_graphs: bool) -> Iterator[tuple[str, str]]:
    for constraint in schema.type_constraints:
        if constraint.type_param_str in bound and not has_graphs:
            for kind in sorted(constraint.allowed_type_strs):
                if kind.startswith("tensor("):
                    yield constraint.type_param_str, kind


def _model(
    schema: defs.OpSchema, node: NodeProto, kinds: Mapping[str, TypeProto], chosen: Mapping[str, str], opset: int
) -> ModelProto | None:
    inputs: list[ValueInfoProto] = []
    outputs: list[ValueInfoProto] = []
    sides = ((schema.inputs, node.input, inputs), (schema.outputs, node.output, outputs))
    for side, names, values in sides:
        for position, name in enumerate(names):
            if name and name in kinds and name not in {value.name for value in values}:
                parameter = side[min(position, len(side) - 1)].type_str
                value = _value(name, kinds[name], chosen[parameter], shaped=values is inputs)
                if value is None:
                    return None
                values.append(value)
    graph = helper.make_graph([node], "single", inputs, outputs)
    imports = [helper.make_opsetid(standard(node.domain), opset)]
    ir_version = _OLDEST_IR if not schema.domain and opset < 20 else _NEWEST_IR
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def _value(name: str, kind: TypeProto, chosen: str, *, shaped: bool) -> ValueInfoProto | None:
    value = ValueInfoProto(name=name, type=kind)
    if chosen != spelled(kind):
        if chosen not in _NUMBERS or kind.WhichOneof("value") != "tensor_type":
            return None
        value.type.tensor_type.elem_type = _NUMBERS[chosen]
    if not shaped and value.type.HasField("tensor_type"):
        value.type.tensor_type.ClearField("shape")
    return value
