"""What the samples share: small graphs, written down in the textual form of ONNX."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from onnx import ModelProto, numpy_helper, parser

import onnxhybrid as oh


def graph(text: str, **weights: npt.NDArray[Any]) -> oh.Model:
    """A model in the textual form of ONNX (see https://onnx.ai/onnx/repo-docs/Syntax.html), with weights by name."""
    proto: ModelProto = parser.parse_model(text)
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return oh.Model.from_proto(proto)
