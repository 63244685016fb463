"""Edits of what a model takes and gives: more outputs, other element types, one more axis.

Each changes a skeleton that the caller owns. Source of the first and the last: `merge_models(outputs=…)` and
`expand_out_dim` of onnx.compose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, defs, helper, numpy_helper

from onnxhybrid.errors import ModelError
from onnxhybrid.model import editing
from onnxhybrid.model.dtypes import Dtype, dtype_name, elem_type, is_container, type_name
from onnxhybrid.model.editing import as_dtype, free_initializers, known, tokens
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.inference import tensor_types
from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import free_name, rename_tensors, tensor_names
from onnxhybrid.model.opsets import opsets_of, set_opsets, standard
from onnxhybrid.model.tensor_spec import TensorSpec
from onnxhybrid.model.tensor_values import array_of
from onnxhybrid.model.texts import is_name
from onnxhybrid.model.training import all_names, drop_broken, rename_trained

_OPSET = 13
"""The opset of the standard domain in a model that imports none; IR version 7 goes with it."""


def expose(model: ModelProto, names: Iterable[str]) -> None:
    """Make tensors of the main graph outputs, behind those that there are; what is one already stays where it is."""
    wanted = _names_of(names, "expose")
    graph = model.graph
    written = dict.fromkeys(name for node in graph.node for name in node.output if name)
    written.update(dict.fromkeys(tensor.name for tensor in graph.initializer))
    sparse = _sparse(graph)
    written.update(dict.fromkeys(sparse))
    constant = {tensor.name for tensor in graph.initializer} if model.ir_version < 4 else set()
    inputs = {value.name for value in graph.input} - constant
    present = {value.name for value in graph.output}
    types = tensor_types(model) if any(name not in present for name in wanted) else {}
    for name in wanted:
        if name in inputs and name not in present:
            raise ModelError("OH115", f"{name!r} is an input, and whoever feeds it has it; expose takes inner tensors")
        if name not in written and name not in present and name in tensor_names(graph):
            raise ModelError("OH109", f"{name!r} is a tensor of a branch or loop, and outputs are of the main graph")
        known(name, {**written, **dict.fromkeys(present)}, "tensor")
        if name not in present:
            graph.output.append(_typed(types[name]))
            present.add(name)
            if name in sparse:
                _write_by(model, graph.output[-1], "Identity")
    replace(graph.value_info, [value for value in graph.value_info if value.name not in present])


def _sparse(graph: GraphProto) -> set[str]:
    """The weights that ONNX Runtime keeps sparse where they are outputs, and then lacks where nodes read them."""
    constants = {
        name
        for node in graph.node
        if node.op_type == "Constant" and not standard(node.domain)
        for name in node.output
        if any(attribute.name == "sparse_value" for attribute in node.attribute)
    }
    return constants | {weight.values.name for weight in graph.sparse_initializer}


def select(model: ModelProto, names: Iterable[str]) -> None:
    """Keep these tensors as outputs, and what they need."""
    if not isinstance(names, Iterable):
        raise ModelError("OH109", f"select takes the names of outputs, not {names!r}")
    names = list(names)
    present = {value.name for value in model.graph.output}
    if inner := [name for name in names if name not in present]:
        expose(model, inner)
    editing.select(model, names)


def _typed(value: ValueInfoProto) -> ValueInfoProto:
    if type_name(value.type) == "undefined":
        raise ModelError(
            "OH115",
            f"nothing says which type {value.name!r} has, and an output needs one; declare it in the graph's "
            "value_info, as in model.graph.value_info.append(onnx.helper.make_tensor_value_info(…))",
        )
    return value


def cast(model: ModelProto, dtypes: Mapping[str, Dtype]) -> None:
    """Let inputs take, and outputs give, another element type; an operator Cast goes between."""
    if not isinstance(dtypes, Mapping):
        raise ModelError("OH109", f"cast takes a mapping such as {{'probabilities': 'float32'}}, not {dtypes!r}")
    free_initializers(model)
    inputs = {value.name: value for value in model.graph.input}
    outputs = _outputs(model)
    for name, dtype in dtypes.items():
        known(name, {**inputs, **outputs}, "input or output")
        if name in inputs and name in outputs:
            raise ModelError("OH115", f"{name!r} is an input that is given back, and a name has one type")
        spec = TensorSpec.of(inputs.get(name) or outputs[name])
        wanted = _castable(model, spec, dtype_name(dtype))
        if wanted == spec.dtype:
            continue
        if name in inputs:
            _cast_input(model, inputs[name], wanted)
        else:
            _write_by(model, outputs[name], "Cast", to=elem_type(wanted))
            outputs[name].type.tensor_type.elem_type = elem_type(wanted)
    drop_broken(model, "cast")


def _outputs(model: ModelProto) -> dict[str, ValueInfoProto]:
    """The outputs; those that the file declares by name only get the type that can be inferred."""
    outputs = {value.name: value for value in model.graph.output}
    if unknown := [value for value in outputs.values() if type_name(value.type) == "undefined"]:
        types = tensor_types(model)
        for value in unknown:
            if value.name in types:
                value.type.CopyFrom(types[value.name].type)
    return outputs


def _castable(model: ModelProto, spec: TensorSpec, wanted: str) -> str:
    """The dtype, if the model's opset has a Cast between it and the tensor's.

    Raises:
        ModelError: OH115, it has none, or the tensor is a token or no tensor.
    """
    if is_container(spec.dtype) or spec.dtype == "undefined" or is_container(wanted):
        raise ModelError("OH115", f"{spec} cannot be cast to {wanted}: only tensors of a known type can")
    if spec.name in tokens(model):
        raise ModelError("OH115", f"{spec.name!r} is a token, which goes to its remote call as it is given")
    schema = _schema(model, "Cast")
    for dtype in (spec.dtype, wanted):
        kind = _kind(dtype)
        if kind not in _kinds(defs.get_schema("Cast")):
            raise ModelError("OH115", f"{spec} cannot be cast to {wanted}: no opset has a Cast that knows {dtype}")
        if schema.since_version < 6 or kind not in _kinds(schema):
            raise ModelError(
                "OH115",
                f"{spec} cannot be cast to {wanted}: the model is of opset {_opset(model)}, whose Cast does not know "
                f"{dtype}; bring the model to a newer opset first, with onnx.version_converter",
            )
    return wanted


def _kinds(schema: defs.OpSchema) -> set[str]:
    return {kind for constraint in schema.type_constraints for kind in constraint.allowed_type_strs}


def _kind(dtype: str) -> str:
    """The type as the operator schemas of onnx write it."""
    return f"tensor({TensorProto.DataType.Name(elem_type(dtype)).lower()})"


def _cast_input(model: ModelProto, value: ValueInfoProto, wanted: str) -> None:
    graph, name, spec = model.graph, value.name, TensorSpec.of(value)
    inner = _moved(model, name, f"{name}/{spec.dtype}")
    value.name = name
    value.type.tensor_type.elem_type = elem_type(wanted)
    for default in graph.initializer:
        if default.name == inner:
            _recast(default, TensorSpec(name, wanted, spec.shape))
    node = helper.make_node("Cast", [name], [inner], name=_free_node(model, f"{name}/cast"), to=elem_type(spec.dtype))
    graph.node.insert(0, node)


def _recast(default: TensorProto, spec: TensorSpec) -> None:
    """Let the default of an input have the input's new dtype.

    Raises:
        ModelError: OH111, its values do not fit that; OH115, it lies elsewhere.
    """
    if default.data_location == TensorProto.EXTERNAL:
        raise ModelError("OH115", f"the default of {spec.name!r} is a large weight, which cast leaves as it is")
    array = array_of(default)
    if array is None:
        raise ModelError("OH111", f"the default of {spec.name!r} does not fit its own type and shape")
    if spec.dtype == "str" or array.dtype.kind == "O":
        raise ModelError("OH111", f"the default of {spec.name!r} is no {spec.dtype}; bind the input first")
    default.CopyFrom(numpy_helper.from_array(as_dtype(spec, array), spec.name))


def expand_dims(model: ModelProto, axis: int, names: Iterable[str] | None = None) -> None:
    """Give outputs one more axis, of size 1, by an operator Unsqueeze."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise ModelError("OH115", f"an axis is a whole number, not {axis!r}")
    outputs = _outputs(model)
    chosen = list(outputs) if names is None else _names_of(names, "expand_dims")
    for name in chosen:
        known(name, outputs, "output")
        _expand(model, outputs[name], int(axis))


def _expand(model: ModelProto, value: ValueInfoProto, axis: int) -> None:
    spec = TensorSpec.of(value)
    if is_container(spec.dtype):
        raise ModelError("OH115", f"{spec} is no tensor, and has no axes")
    if spec.shape is not None:
        rank = len(spec.shape) + 1
        if not -rank <= axis < rank:
            raise ModelError("OH115", f"{spec} has no place for an axis {axis}: it takes {-rank} to {rank - 1}")
        axis %= rank
    if axis < 0 and _schema(model, "Unsqueeze").since_version < 11:
        raise ModelError("OH115", f"the rank of {spec} is not known, and opset {_opset(model)} counts from the front")
    shape = None if spec.shape is None else (*spec.shape[:axis], 1, *spec.shape[axis:])
    expanded = TensorSpec(spec.name, spec.dtype, shape).to_value_info()
    if _schema(model, "Unsqueeze").since_version < 13:
        _write_by(model, value, "Unsqueeze", axes=[axis])
    else:
        axes = free_name(f"{spec.name}/axes", all_names(model))
        model.graph.initializer.append(numpy_helper.from_array(np.array([axis]), axes))
        _write_by(model, value, "Unsqueeze", axes)
    value.type.CopyFrom(expanded.type)


def _write_by(model: ModelProto, value: ValueInfoProto, operator: str, *more: str, **attributes: Any) -> None:
    """Let a node write an output from what the model wrote before, which gets another name and keeps its declaration.

    Raises:
        ModelError: OH115, the output is an input that is given back.
    """
    graph, name = model.graph, value.name
    if name in {entry.name for entry in graph.input}:
        raise ModelError("OH115", f"{name!r} is an input that is given back as it is; rename the output first")
    inner = _moved(model, name, f"{name}/inner")
    if inner not in {tensor.name for tensor in graph.initializer}:
        graph.value_info.add().CopyFrom(value)
    value.name = name
    graph.node.append(
        helper.make_node(operator, [inner, *more], [name], name=_free_node(model, f"{name}/{operator}"), **attributes)
    )


def _moved(model: ModelProto, name: str, wanted: str) -> str:
    """The free name that a tensor gets, `wanted` if possible, so that something else can have its own."""
    inner = free_name(wanted, all_names(model))
    rename_tensors(model.graph, {name: inner})
    rename_trained(model, {name: inner})
    return inner


def _schema(model: ModelProto, operator: str) -> defs.OpSchema:
    version = _opset(model)
    try:
        return defs.get_schema(operator, min(version, defs.onnx_opset_version()), "")
    except (defs.SchemaError, TypeError):  # TypeError: a version that onnx's own numbers do not hold
        raise ModelError("OH115", f"the model imports ai.onnx {version}, which has no {operator}") from None


def _opset(model: ModelProto) -> int:
    """The version of the standard domain, which is imported if it is not."""
    opsets = opsets_of(model.opset_import)
    if "" not in opsets:
        opsets[""] = _OPSET
        set_opsets(model, opsets)
        model.ir_version = max(model.ir_version, 7)
    return opsets[""]


def _free_node(model: ModelProto, wanted: str) -> str:
    return free_name(wanted, {node.name for node in all_nodes(model)})


def _names_of(names: object, method: str) -> list[str]:
    """The names, each once.

    Raises:
        ModelError: OH109, they are none.
    """
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, Iterable) or not (listed := list(listed)) or not all(map(is_name, listed)):
        raise ModelError("OH109", f"{method} takes names of tensors, as in ['hidden'], not {names!r}")
    return list(dict.fromkeys(listed))
