"""The types that ONNX Runtime infers: it knows operators that onnx does not, such as those of com.microsoft."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, helper

from onnxhybrid.library import library_path
from onnxhybrid.model.attributes import is_sound
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.remote_spec import DOMAIN


def runtime_types(model: ModelProto) -> dict[str, ValueInfoProto]:
    """The types of what the nodes of a skeleton's main graph write; none where ONNX Runtime does not load it.

    Nothing runs, and weights that lie elsewhere are not read: here they are inputs.
    """
    if not is_sound(model):
        return {}
    plain = ModelProto()
    plain.CopyFrom(model)
    _open(plain)
    try:
        outputs = _session_outputs(plain)
    except Exception:  # noqa: BLE001  # the classes of onnxruntime's errors have no base of their own
        return {}
    values = {}
    for name, kind, shape in outputs:
        values[name] = ValueInfoProto(name=name, type=_parsed(kind))
        if shape and values[name].type.HasField("tensor_type"):  # the Python API has [] for an unknown rank, too
            values[name].type.CopyFrom(helper.make_tensor_type_proto(values[name].type.tensor_type.elem_type, shape))
    return values


def refusal(model: ModelProto) -> str | None:
    """Why ONNX Runtime does not load a skeleton; None where it does. Nothing runs, and no weight is read."""
    if not is_sound(model):
        return "a node says what its operator does not take"
    plain = ModelProto()
    plain.CopyFrom(model)
    _open(plain)
    try:
        _session_outputs(plain)
    except Exception as problem:  # noqa: BLE001  # as above
        return " ".join(str(problem).split())
    return None


def _open(model: ModelProto) -> None:
    """Make weights that lie elsewhere inputs, and what nodes write outputs."""
    graph = model.graph
    outside = [tensor for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    known = {value.name for value in graph.input}
    for tensor in outside:
        graph.initializer.remove(tensor)
        if tensor.name not in known:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    declared = {value.name: value for value in (*graph.value_info, *graph.output)}
    written = dict.fromkeys(name for node in graph.node for name in node.output if name)
    outputs = [declared.get(name, ValueInfoProto(name=name)) for name in written]
    copies = [ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
    del graph.output[:]
    graph.output.extend(copies)


def _session_outputs(model: ModelProto) -> list[tuple[str, str, list[int | str | None] | None]]:
    """Name, type and shape of each output, from a session that is not optimized and never run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    if any(node.domain == DOMAIN for node in all_nodes(model)):
        options.register_custom_ops_library(str(library_path()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [(output.name, output.type, output.shape) for output in session.get_outputs()]


def _parsed(text: str) -> TypeProto:
    """A type as ONNX Runtime writes it: `tensor(float)`, `seq(map(int64,tensor(float)))`."""
    kind, _, inside = text.removesuffix(")").partition("(")
    if kind == "seq":
        return helper.make_sequence_type_proto(_parsed(inside))
    if kind == "optional":
        return helper.make_optional_type_proto(_parsed(inside))
    if kind == "map":
        key, _, value = inside.partition(",")
        return helper.make_map_type_proto(_number(key), _parsed(value))
    if kind == "tensor":
        return helper.make_tensor_type_proto(_number(inside), None)
    return TypeProto()


def _number(name: str) -> int:
    return int(TensorProto.DataType.Value(name.upper()))
