"""Everything that can be done with a file, and with the Model in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid import inspection, recipe


def _plain(opset: int, name: str = "q") -> oh.Model:
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, None) for end in (name, "p")]
    graph = helper.make_graph([helper.make_node("Relu", [name], ["p"])], "plain", ends[:1], ends[1:])
    imports = [helper.make_opsetid("", opset)]
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=imports))


def _condition() -> oh.Model:
    ends = [
        helper.make_tensor_value_info("k", TensorProto.BOOL, []),
        helper.make_tensor_value_info("d", TensorProto.BOOL, []),
    ]
    graph = helper.make_graph([helper.make_node("Not", ["k"], ["d"])], "condition", ends[:1], ends[1:])
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def _first(model: oh.Model) -> str:
    return model.outputs[0].name if model.outputs else "y"


def _given(model: oh.Model) -> str:
    return model.inputs[0].name if model.inputs else "x"


def _inner(model: oh.Model) -> str:
    names = [name for node in model.skeleton.graph.node for name in node.output if isinstance(name, str)]
    return names[0] if names else "h"


def _remote_like(model: oh.Model) -> oh.Model:
    return oh.remote.triton("http://127.0.0.1:9", "m", inputs=list(model.inputs), outputs=list(model.outputs))


def _from_proto(path: Path) -> None:
    if not path.is_file():
        return
    try:
        proto = onnx.ModelProto.FromString(path.read_bytes())
    except (DecodeError, UnicodeDecodeError):  # the second one without the compiled part of protobuf
        return
    oh.Model.from_proto(proto)


def _folder(work: Callable[[Path], object]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        work(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


OF_A_FILE: dict[str, Callable[[Path], object]] = {
    "load": oh.load,
    "from_proto": _from_proto,
    "validate": lambda path: str(oh.validate(path)),
    "validate for a target": lambda path: oh.validate(path, target="onnxruntime==1.20").to_json(),
    "Session of a file": oh.Session,
    "describe": lambda path: (str(inspection.describe(path)), inspection.describe(path).document()),
}

OF_A_MODEL: dict[str, Callable[[oh.Model], object]] = {
    "properties": lambda m: (repr(m), m.inputs, m.outputs, m.opsets, m.metadata, m.name),
    "remotes": lambda m: m.remotes,
    "egress": lambda m: str(oh.egress(m)),
    "recipe": recipe.kept,
    "tensors": lambda m: m.tensors(),
    "to_proto": lambda m: m.to_proto(),
    "save": lambda m: _folder(lambda folder: m.save(folder / "m.onnx")),
    "save beside": lambda m: _folder(lambda folder: m.save(folder / "m.onnx", external_data=True)),
    "rename": lambda m: m.rename({_given(m): "renamed", _first(m): "result"}),
    "prefix": lambda m: m.prefix("p/"),
    "select": lambda m: m.select([_first(m)]),
    "expose": lambda m: m.expose([_inner(m)]),
    "cast": lambda m: m.cast({_first(m): "float64"}),
    "expand_dims": lambda m: m.expand_dims(0),
    "declare": lambda m: m.declare({_given(m): ("n", 24)}),
    "with_metadata": lambda m: m.with_metadata({"a": "b"}),
    "retarget": lambda m: m.retarget({"http://127.0.0.1:9": "http://127.0.0.1:10"}),
    "bind": lambda m: m.bind(**{_given(m): np.ones((1, 24), np.float32)}),
    "chain behind": lambda m: oh.chain(m, _plain(21), connect={"q": _first(m)}),
    "chain before": lambda m: oh.chain(_plain(21), m, connect={_given(m): "p"}),
    "parallel": lambda m: oh.parallel(a=m, b=_plain(21)),
    "switch": lambda m: oh.switch(_condition(), then=m, else_=m),
    "route": lambda m: oh.route("index", [m, m]),
    "cascade": lambda m: oh.cascade(m, _remote_like(m), accept=oh.judge.max_probability(_first(m)) >= 0.5),
    "cascade by rows": lambda m: oh.cascade(
        m, _remote_like(m), accept=oh.judge.value(_first(m)) >= 0.5, rows=True, speculate=True
    ),
    "fallback": lambda m: oh.fallback(m, m),
    "fallback for a remote": lambda m: oh.fallback(_remote_like(m), m),
    "ensemble": lambda m: oh.ensemble([m, m], combine="mean"),
    "overlap": oh.overlap,
    "split": lambda m: oh.split(m, at=[_inner(m)]),
    "splice": lambda m: oh.splice(m, inputs=[_given(m)], outputs=[_first(m)], replacement=_plain(17)),
    "offload": lambda m: oh.offload(m, at=[_inner(m)], to=_remote_like),
    "Session of a Model": oh.Session,
    "upgrade": oh.legacy.upgrade,
    "export": oh.legacy.export,
    "deploy for AzureML": lambda m: _folder(lambda folder: oh.deploy.azureml(m, folder / "a", name="abc")),
    "deploy for Triton": lambda m: _folder(lambda folder: oh.deploy.triton(m, folder / "t", name="abc")),
}
