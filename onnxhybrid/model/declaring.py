"""`Model.declare`: other sizes declared for inputs and outputs, as far as they can be true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import ModelProto, ValueInfoProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.dtypes import is_container
from onnxhybrid.model.editing import free_initializers, known
from onnxhybrid.model.graphs import nested_graphs
from onnxhybrid.model.proof import certain, forget, unsized
from onnxhybrid.model.runtime_types import refusal, runtime_types
from onnxhybrid.model.tensor_spec import Dim, Shape, TensorSpec, shape_of

Sizes = Iterable[Dim] | None


def declare(model: ModelProto, shapes: Mapping[str, Sizes]) -> None:
    """Declare other sizes of inputs and outputs; those of other tensors follow."""
    if not isinstance(shapes, Mapping):
        raise ModelError("OH109", f"declare takes a mapping such as {{'x': ('n', 3, None, None)}}, not {shapes!r}")
    free_initializers(model)
    graph = model.graph
    inputs = {value.name: value for value in graph.input}
    outputs = {value.name: value for value in graph.output}
    wanted = {}
    for name, sizes in shapes.items():
        known(name, {**inputs, **outputs}, "input or output")
        wanted[name] = _respecified(inputs.get(name) or outputs[name], sizes)
    before, refused = certain(model), refusal(model)
    for name in inputs.keys() & wanted.keys():
        _require_rank(wanted[name], TensorSpec.of(inputs[name]).shape)
        inputs[name].CopyFrom(wanted[name].to_value_info())
    _require_defaults(model)
    _require_channels(model)
    after = certain(model)
    if inputs.keys() & wanted.keys() and refused is None and (reason := refusal(unsized(model))):
        raise ModelError("OH118", f"the model cannot take {_listed(wanted, inputs)}: {reason}")
    meanings: dict[Dim, Dim] = {}
    for name in outputs.keys() & wanted.keys() - inputs.keys():
        _require_true(wanted[name], after.get(name, before.get(name)), _sizes(model), meanings)
    _follow(model, wanted, after, changed=bool(inputs.keys() & wanted.keys()))


def _respecified(value: ValueInfoProto, sizes: Sizes) -> TensorSpec:
    spec = TensorSpec.of(value)
    if is_container(spec.dtype):
        raise ModelError("OH118", f"{spec} is no tensor of a known type, and only such a one has sizes to be declared")
    return TensorSpec(spec.name, spec.dtype, sizes)


def _require_rank(wanted: TensorSpec, known: Shape | None) -> None:
    if wanted.shape is not None and known is not None and len(wanted.shape) != len(known):
        raise ModelError("OH118", f"{wanted} has another rank than the {len(known)} that the model gives or takes")


def _require_defaults(model: ModelProto) -> None:
    """The default of an input has the sizes that the input declares."""
    defaults = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for spec in map(TensorSpec.of, model.graph.input):
        own = defaults.get(spec.name)
        if own is not None and spec.shape is not None and not _agree(own, spec.shape):
            raise ModelError("OH118", f"{spec} has a default of the sizes {list(own)}; bind the input first")


def _require_channels(model: ModelProto) -> None:
    """A convolution takes as many channels as its weights have, which no inference of onnx looks at."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes = certain(model)
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose") or node.domain not in ("", "ai.onnx") or len(node.input) < 2:
            continue
        given, weight = shapes.get(node.input[0]), weights.get(node.input[1])
        if given is None or weight is None or len(given) < 2 or len(weight) < 2:
            continue
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        channels = weight[1] * groups if node.op_type == "Conv" else weight[0]
        if isinstance(given[1], int) and given[1] != channels:
            raise ModelError(
                "OH118",
                f"{node.input[0]!r} would have {given[1]} channels, and the {node.op_type} {node.name!r} that reads it "
                f"has weights for {channels}",
            )


def _require_true(wanted: TensorSpec, sure: Shape | None, names: set[str], meanings: dict[Dim, Dim]) -> None:
    """What is declared of an output agrees with what the operators give.

    Args:
        wanted: the declaration.
        sure: the sizes that are inferred.
        names: the names of the inputs' sizes.
        meanings: what the names mean that outputs have so far; those of this one are added.
    """
    _require_rank(wanted, sure)
    for size, true in zip(wanted.shape or (), sure or (), strict=False):
        if size is None or true is None:
            continue
        meaning = size if isinstance(size, int) or size in names else meanings.setdefault(size, true)
        if meaning != true:
            raise ModelError(
                "OH118",
                f"{wanted.name!r} cannot be {wanted.describe()}: the operators of the model give {true!r} where "
                f"{size!r} stands",
            )


def _follow(
    model: ModelProto, wanted: Mapping[str, TensorSpec], sure: Mapping[str, Shape | None], *, changed: bool
) -> None:
    """Declare what is known now, and drop sizes that may have become stale."""
    graph, inputs = model.graph, {value.name for value in model.graph.input}
    if changed and any(value.name not in sure for value in graph.output):
        runtime = runtime_types(unsized(model))
        sure = {**{name: shape_of(value) for name, value in runtime.items()}, **sure}
    for value in graph.output:
        spec, shape = TensorSpec.of(value), sure.get(value.name)
        if value.name in wanted:
            value.CopyFrom(wanted[value.name].to_value_info())
        elif value.name in inputs:
            value.CopyFrom(next(entry for entry in graph.input if entry.name == value.name))
        elif changed and not is_container(spec.dtype):
            value.CopyFrom(TensorSpec(spec.name, spec.dtype, shape).to_value_info())
    if changed:
        declared = {value.name: shape_of(value) for value in graph.value_info}
        forget(list(nested_graphs(graph)))
        for value in graph.value_info:
            if (shape := sure.get(value.name)) is not None and shape == declared[value.name]:
                spec = TensorSpec.of(value)
                value.CopyFrom(TensorSpec(spec.name, spec.dtype, shape).to_value_info())


def _agree(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(a == b or not isinstance(b, int) for a, b in zip(one, other, strict=True))


def _sizes(model: ModelProto) -> set[str]:
    return {size for value in model.graph.input for size in shape_of(value) or () if isinstance(size, str)}


def _listed(wanted: Mapping[str, TensorSpec], inputs: Mapping[str, object]) -> str:
    return ", ".join(str(spec) for name, spec in wanted.items() if name in inputs)
