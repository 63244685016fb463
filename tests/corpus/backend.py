"""The cases that the onnx package ships: one for each variant of an operator, and small models of several origins."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, OptionalProto, SequenceProto, TensorProto, ValueInfoProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from tests.corpus.case import Case, Values

FOLDERS = ("simple", "pytorch-converted", "pytorch-operator")


def cases() -> Iterator[Case]:
    """Every case whose inputs can be read, in a fixed order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases compute infinities on purpose
        nodes = load_model_tests(kind="node")
    for test in sorted(nodes, key=lambda test: test.name):
        if test.model is not None and test.data_sets:
            yield Case(test.name, test.model, _feeds(test.model, test.data_sets[0][0]))
    for kind in FOLDERS:
        for test in sorted(load_model_tests(kind=kind), key=lambda test: test.name):
            yield on_disk(test.name, Path(str(test.model_dir)))
    yield from light()


def light() -> Iterator[Case]:
    """The networks of the model zoo without their weights, which their files make anew."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    for path in sorted(folder.glob("*.onnx")):
        proto = onnx.load(path)
        weights = {tensor.name for tensor in proto.graph.initializer}
        (value,) = (value for value in proto.graph.input if value.name not in weights)
        shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        yield Case(path.stem, proto, {value.name: np.random.default_rng(0).random(shape, np.float32)})


def on_disk(name: str, folder: Path) -> Case:
    """A model of a folder as the onnx package has them, with its first inputs."""
    proto = onnx.load(folder / "model.onnx")
    data = folder / "test_data_set_0"
    files = [data / f"input_{position}.pb" for position in range(len(list(data.glob("input_*.pb"))))]
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if len(files) == len(proto.graph.input) or value.name not in weights]
    return Case(name, proto, {v.name: _read(v, file.read_bytes()) for v, file in zip(inputs, files, strict=False)})


def _read(value: ValueInfoProto, data: bytes) -> Any:
    kind = value.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.to_list(SequenceProto.FromString(data))
    if kind == "optional_type":
        return numpy_helper.to_optional(OptionalProto.FromString(data))
    return numpy_helper.to_array(TensorProto.FromString(data))


def _feeds(proto: ModelProto, values: Any) -> Values:
    names = [value.name for value in proto.graph.input]
    return {name: _value(value) for name, value in zip(names, values, strict=False)}


def _value(value: Any) -> Any:
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value
