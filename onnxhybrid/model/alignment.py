"""Brings models to common opsets and a common IR version.

A step from one opset to a newer one is taken where it is proven: every operator that the model uses means the same in
both (`onnxhybrid.model.schemas`), or the version converter of onnx knows the step. Everything else is an error, never
a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from onnx import FunctionProto, ModelProto, TensorProto, helper, shape_inference, version_converter

from onnxhybrid.errors import ComposeError
from onnxhybrid.model.axes import input_axes, move_axes, only_axes_moved
from onnxhybrid.model.editing import free_initializers
from onnxhybrid.model.fragile import hide, show
from onnxhybrid.model.graphs import all_nodes, attribute_graphs, nodes_of, value_infos
from onnxhybrid.model.model import Model
from onnxhybrid.model.opsets import Opsets, opsets_of, set_opsets, standard
from onnxhybrid.model.schemas import keeps_meaning

GLUE_OPSET = 17
"""The standard opset of a composition whose parts import none."""


def align(models: Sequence[Model], at_least: int = 0) -> list[Model]:
    """The models, all on the newest opsets among them, the standard one no older than `at_least`.

    Raises:
        ComposeError: OH102, a step to a newer opset is not proven.
    """
    target = newest(model.opsets for model in models)
    if "" in target:
        target[""] = max(target[""], at_least)
    return [_aligned(model, target) for model in models]


def newest(opsets: Iterable[Opsets]) -> Opsets:
    """For each domain its newest version."""
    united = Opsets()
    for imports in opsets:
        for domain, version in imports.items():
            united[domain] = max(version, united.get(domain, 0))
    return united


def _aligned(model: Model, target: Opsets) -> Model:
    behind = {domain: target[domain] for domain, version in model.opsets.items() if version < target[domain]}
    if not behind:
        return model
    proto = ModelProto()
    proto.CopyFrom(model.skeleton)
    for domain, version in behind.items():
        _raise_opset(proto, domain, version)
    return Model(proto, model.weights)


def lifted(model: Model) -> Model:
    """The model above IR 3, where initializers had to be inputs although nobody could feed them."""
    if model.ir_version >= 4:
        return model
    proto = ModelProto()
    proto.CopyFrom(model.skeleton)
    free_initializers(proto)
    return Model(proto, model.weights)


def _raise_opset(model: ModelProto, domain: str, version: int) -> None:
    """Bring one domain of a model to a newer version, in place."""
    imports = opsets_of(model.opset_import)
    nodes = [node for node in nodes_of(model.graph.node) if standard(node.domain) == domain]
    changed = sorted({node.op_type for node in nodes if not keeps_meaning(node, imports[domain], version)})
    if changed:
        _convert(model, domain, version, changed)
    for function in model.functions:
        _raise_function(model, function, domain, version)
    set_opsets(model, imports | {domain: version})


def _raise_function(model: ModelProto, function: FunctionProto, domain: str, version: int) -> None:
    """A function has imports of its own; ONNX Runtime wants them to agree with the model's."""
    old = opsets_of(function.opset_import).get(domain)
    if old is None or old >= version:
        return
    changed = {
        n.op_type
        for n in nodes_of(function.node)
        if standard(n.domain) == domain and not keeps_meaning(n, old, version)
    }
    if changed and all(not domain and only_axes_moved(operator, old, version) for operator in changed):
        input_axes(function, changed)
    elif changed:
        raise _unproven(model, domain, old, version, sorted(changed), f"the function {function.name!r} uses it")
    for entry in function.opset_import:
        if standard(entry.domain) == domain:
            entry.version = version


def _convert(model: ModelProto, domain: str, version: int, changed: list[str]) -> None:
    """Let onnx's version converter rewrite the main graph."""
    old = opsets_of(model.opset_import)[domain]
    if domain:
        raise _unproven(model, domain, old, version, changed, "the version converter knows the standard domain only")
    if all(only_axes_moved(operator, old, version) for operator in changed):
        move_axes(model.graph, set(changed))
        return
    if any(True for node in model.graph.node for _ in attribute_graphs(node)):
        raise _unproven(model, domain, old, version, changed, "the version converter does not enter nested graphs")
    if wrong := sorted(_MISCONVERTED.intersection(changed)):
        raise _unproven(model, domain, old, version, wrong, "the version converter does not keep what it means")
    try:
        plain = _convertible(model)
        hide(plain)
        converted = version_converter.convert_version(plain, version)
    except (RuntimeError, ValueError, version_converter.ConvertError, shape_inference.InferenceError) as problem:
        raise _unproven(model, domain, old, version, changed, str(problem).splitlines()[0]) from None
    show(converted)
    del model.graph.node[:]
    model.graph.node.extend(converted.graph.node)
    known = {tensor.name for tensor in model.graph.initializer}
    model.graph.initializer.extend(t for t in converted.graph.initializer if t.name not in known)


_MISCONVERTED = frozenset({"GroupNormalization", "Hardmax", "Resize", "Upsample"})
"""Operators whose conversion by onnx gives other values, or a model that does not load."""


def _convertible(model: ModelProto) -> ModelProto:
    """What the converter can read: the standard domain alone, and weights that lie elsewhere as inputs."""
    plain = ModelProto(ir_version=model.ir_version)
    plain.graph.CopyFrom(model.graph)
    set_opsets(plain, opsets_of(model.opset_import))
    inside = [tensor for tensor in plain.graph.initializer if tensor.data_location != TensorProto.EXTERNAL]
    known = {value.name for value in plain.graph.input}
    for tensor in plain.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL and tensor.name not in known:
            plain.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    del plain.graph.initializer[:]
    plain.graph.initializer.extend(inside)
    return plain


def _unproven(model: ModelProto, domain: str, old: int, new: int, operators: list[str], reason: str) -> ComposeError:
    return ComposeError(
        "OH102",
        f"the part {model.graph.name!r} imports {domain or 'ai.onnx'} {old} and another part {new}; "
        f"between them changed {', '.join(operators)}, and {reason}",
    )


def least_ir(model: ModelProto, held: int) -> int:
    """The least IR version that holds what the model uses. Source: the IR version history in onnx.proto.

    Args:
        model: the skeleton.
        held: an IR version that holds all nodes of it, such as the greatest of its parts.
    """
    nodes = _node_needs(model) if held >= 10 else ()  # no node of an older file can need more
    return max(4, *_ir_needs(model), *nodes)


def _ir_needs(model: ModelProto) -> Iterator[int]:
    yield 8 if model.functions else 4
    types = {tensor.data_type for tensor in model.graph.initializer}
    types.update(v.type.tensor_type.elem_type for v in value_infos(model.graph).values())
    yield max((_TYPE_IR.get(kind, 4) for kind in types), default=4)
    if any(function.overload or function.attribute_proto for function in model.functions):
        yield 10


def _node_needs(model: ModelProto) -> Iterator[int]:
    for node in all_nodes(model):
        if node.overload or node.metadata_props:
            yield 10
        if node.device_configurations:
            yield 11


_TYPE_IR = {
    **dict.fromkeys(range(TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2FNUZ + 1), 9),
    TensorProto.UINT4: 10,
    TensorProto.INT4: 10,
    TensorProto.FLOAT4E2M1: 11,
    TensorProto.FLOAT8E8M0: 12,
    TensorProto.UINT2: 13,
    TensorProto.INT2: 13,
}
