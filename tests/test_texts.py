"""Files whose texts are no UTF-8: ONNX Runtime runs them, and so do we, or we say why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.message import Message
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import dense

GBK = b"\xb2\xe2\xb2\xe2\xb2\xe2"
X = np.array([[1, -2, 3]], np.float32)


def _model() -> onnx.ModelProto:
    """A model with a text of six letters in every place that takes one, but for what ONNX itself names."""
    scale = numpy_helper.from_array(np.ones(3, np.float32), "weight")
    inner = helper.make_node("Mul", ["inputx", "weight"], ["inside"], name="inmult")
    then = helper.make_graph([inner], "thengr", [], [_value("inside")])
    keep = helper.make_node("Identity", ["inputx"], ["passed"], name="elseid")
    nodes = [
        helper.make_node("If", ["condit"], ["chosen"], name="ifnode", then_branch=then, else_branch=_graph(keep)),
        helper.make_node("FuncFn", ["chosen"], ["mapped"], name="callfn", domain="domain"),
        helper.make_node("Relu", ["mapped"], ["output"], name="relunn"),
    ]
    inputs = [_value("inputx"), helper.make_tensor_value_info("condit", TensorProto.BOOL, [])]
    graph = helper.make_graph(nodes, "graphn", inputs, [_value("output")], [scale], value_info=[_value("mapped")])
    graph.input[0].type.denotation = "denote"
    graph.input[0].type.tensor_type.shape.dim[1].denotation = "dimden"
    graph.quantization_annotation.add(tensor_name="weight").quant_parameter_tensor_names.add(
        key="SCALE_TENSOR", value="mapped"
    )
    negated = [helper.make_node("Neg", ["fninpt"], ["fnoutp"], name="fnnode")]
    function = helper.make_function(
        "domain", "FuncFn", ["fninpt"], ["fnoutp"], negated, [helper.make_opsetid("", 17)], ["fnattr"]
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("domain", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10, functions=[function])
    model.producer_name, model.producer_version, model.domain = "produc", "versio", "moddom"
    graph, function = model.graph, model.functions[0]
    then = graph.node[0].attribute[0].g
    documented = (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.initializer,
        then,
        *then.node,
        function,
        *function.node,
    )
    for number, message in enumerate(documented):
        message.doc_string = f"doc{number:03}"
        message.metadata_props.add(key=f"key{number:03}", value=f"val{number:03}")
    return model


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rowdim", 3])


def _graph(node: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph([node], "elsegr", [], [_value(node.output[0])])


def _texts(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _texts(inner)
        elif field.type == field.TYPE_STRING:
            yield from [value] if isinstance(value, str) else list(value)


ALL = sorted({text for text in _texts(_model()) if len(text) == len(GBK)})
OTHER = dense("other", "output", "z", (3, 3))
FEEDS = {"inputx": X, "condit": np.array(True)}


def _written(text: str, path: Path) -> Path:
    path.write_bytes(_model().SerializeToString().replace(text.encode(), GBK))
    return path


def test_every_kind_of_text_is_tried() -> None:
    assert len(ALL) > 40


USES: dict[str, Callable[[oh.Model, Path], object]] = {
    "repr": lambda model, folder: repr(model),
    "metadata": lambda model, folder: [model.metadata, model.name, model.opsets, model.remotes],
    "tensors": lambda model, folder: model.tensors(),
    "prefix": lambda model, folder: model.prefix("p/"),
    "rename": lambda model, folder: model.rename({model.outputs[0].name: "new"}),
    "select": lambda model, folder: model.select([model.outputs[0].name]),
    "with_metadata": lambda model, folder: model.with_metadata({"a": "b"}).with_metadata({"a": "c"}),
    "to_proto": lambda model, folder: oh.Model.from_proto(model.to_proto()),
    "chain": lambda model, folder: oh.chain(model, OTHER, connect={"output": model.outputs[0].name}),
    "parallel": lambda model, folder: oh.parallel(a=model, b=OTHER),
    "switch": lambda model, folder: oh.switch("really", then=model, else_=model),
    "split": lambda model, folder: oh.split(model, at=[model.skeleton.graph.node[1].output[0]]),
    "overlap": lambda model, folder: oh.overlap(model),
    "validate": lambda model, folder: str(oh.validate(model)),
    "save": lambda model, folder: model.save(folder / "saved.onnx", external_data=True),
    "egress": lambda model, folder: [oh.legacy.upgrade(model), str(model.inputs), str(model.outputs)],
}


@pytest.mark.parametrize("text", ALL)
def test_a_text_that_is_no_utf_8_is_in_nobody_s_way(tmp_path: Path, text: str) -> None:
    model = oh.load(_written(text, tmp_path / "m.onnx"))
    for use in USES.values():
        use(model, tmp_path)


@pytest.mark.parametrize("text", ALL)
def test_the_values_are_those_of_onnx_runtime(tmp_path: Path, text: str) -> None:
    path = _written(text, tmp_path / "m.onnx")
    wanted = onnxruntime.InferenceSession(_model().SerializeToString()).run(None, FEEDS)[0]
    model = oh.load(path)
    model.save(tmp_path / "saved.onnx")
    feeds = dict(zip([spec.name for spec in model.inputs], FEEDS.values(), strict=True))
    for session in (oh.Session(model), onnxruntime.InferenceSession(tmp_path / "saved.onnx")):
        np.testing.assert_array_equal(session.run(None, feeds)[0], wanted)


@pytest.mark.parametrize("text", [text for text in ALL if text[:3] in ("doc", "key", "val")])
def test_documentation_and_metadata_are_kept_byte_by_byte(tmp_path: Path, text: str) -> None:
    model = oh.load(_written(text, tmp_path / "m.onnx"))
    for edited in (model, model.prefix("p/"), model.with_metadata({"a": "b"})):
        edited.save(tmp_path / "saved.onnx")
        assert GBK in (tmp_path / "saved.onnx").read_bytes()


def test_metadata_is_shown_with_escapes(tmp_path: Path) -> None:
    model = oh.load(_written("val000", tmp_path / "m.onnx"))
    assert model.metadata["key000"] == r"\xb2\xe2\xb2\xe2\xb2\xe2"


@pytest.mark.parametrize("other", [r"\xb2\xe2\xb2\xe2\xb2\xe2", rb"\xb2\xe2\xb2\xe2\xb2" + b"\xe2"])
def test_a_name_that_would_be_spelled_like_another_is_refused(tmp_path: Path, other: str | bytes) -> None:
    proto = _model()
    proto.graph.node[2].name = "Z" * len(other)
    data = proto.SerializeToString().replace(b"mapped", GBK)
    path = tmp_path / "m.onnx"
    path.write_bytes(data.replace(b"Z" * len(other), other.encode() if isinstance(other, str) else other))
    with pytest.raises(oh.ModelError, match="OH100"):
        oh.load(path)


@pytest.mark.parametrize("beside", [False, True])
def test_a_session_of_a_path_takes_inputs_and_outputs_whose_names_are_no_utf_8(tmp_path: Path, beside: bool) -> None:
    weight = numpy_helper.from_array(np.ones(1000, np.float32), "w")
    node = helper.make_node("Add", ["inputx", "w"], ["output"])
    given, taken = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1000]) for name in ("inputx", "output"))
    model = helper.make_model(
        helper.make_graph([node], "g", [given], [taken], [weight]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=beside)
    data = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(data.replace(b"inputx", GBK).replace(b"output", GBK[::-1]))
    session = oh.Session(tmp_path / "m.onnx")
    (name,) = (argument.name for argument in session.get_inputs())
    (answer,) = session.run(None, {name: np.ones(1000, np.float32)})
    np.testing.assert_array_equal(answer, np.full(1000, 2, np.float32))
