"""The metadata entry of a recipe, by which a composed file tells the YAML that it was composed from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from onnx import ModelProto

from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.graphs import all_tensors
from onnxhybrid.model.json_object import json_object
from onnxhybrid.model.messages import copied
from onnxhybrid.model.recipe_entry import RECIPE


def keep(model: Model, text: str) -> Model:
    """The model with its recipe in its metadata.

    Args:
        model: what the recipe makes.
        text: the recipe, as YAML without comments, which might hold what nobody wants to hand on.
    """
    return model.with_metadata({RECIPE: json.dumps({"yaml": text, "graph": _digest(model.skeleton)})})


def kept(model: Model) -> str:
    """The recipe that a model was composed from, as YAML.

    Its paths are relative to the folder in which it was composed.

    Raises:
        Error: OH714, it was not composed from one, or was changed since.
    """
    entry = _parsed(model.metadata.get(RECIPE))
    if entry is None:
        raise Error(
            "OH714", "it was not composed from a recipe: onnxhybrid compose RECIPE.yaml -o MODEL.onnx does that"
        )
    if entry["graph"] != _digest(model.skeleton):
        raise Error(
            "OH714", "it was changed since it was composed, and the recipe in its metadata is no longer its own"
        )
    return str(entry["yaml"])


def _parsed(entry: str | None) -> dict[str, Any] | None:
    told = json_object(entry or "")
    return told if told and isinstance(told.get("yaml"), str) and isinstance(told.get("graph"), str) else None


def _digest(skeleton: ModelProto) -> str:
    """A hash of what a model computes, but for large weights, which lie elsewhere once it is saved."""
    proto = copied(skeleton)
    for tensor in all_tensors(proto):
        if tensor.external_data:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    said = hashlib.sha256(proto.graph.SerializeToString(deterministic=True))
    for message in (*proto.functions, *proto.opset_import):
        said.update(message.SerializeToString(deterministic=True))
    return said.hexdigest()
