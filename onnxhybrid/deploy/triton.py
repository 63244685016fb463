"""`triton`: a model in a repository of the Triton server, for its onnxruntime backend.

Source: https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from onnxhybrid.deploy.folder import write
from onnxhybrid.errors import ModelError
from onnxhybrid.model import Model, TensorSpec, load

_TYPES = {
    "bool": "TYPE_BOOL",
    "str": "TYPE_STRING",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "bfloat16": "TYPE_BF16",
    **{f"{sign}int{bits}": f"TYPE_{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def triton(
    model: Model | str | os.PathLike[str],
    repository: str | os.PathLike[str],
    *,
    name: str,
    version: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write a model into a model repository: `<name>/config.pbtxt` and `<name>/<version>/model.onnx`.

    Shapes are given whole, the batch included, so that the server sends on what it is sent (`max_batch_size: 0`).

    Args:
        model: a Model or the path of an .onnx file.
        repository: the folder that the server is started with; it is made if it is not there.
        name: what the server calls the model: letters, digits, `_`, `-` and `.`.
        version: the version, from 1.
        overwrite: replace the model of that name.

    Returns:
        The model's folder.

    Raises:
        ModelError: OH410, the folder cannot be written; OH411, the name cannot be used, or the model has what the
            backend lacks; or what loading or saving the model raised.
    """
    whole = model if isinstance(model, Model) else load(model)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", name):
        raise ModelError("OH411", f"name is letters, digits, '_', '-' and '.', not {name!r}")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelError("OH411", f"version is an int from 1, not {version!r}")
    if whole.remotes:
        raise ModelError(
            "OH411",
            f"the model calls {whole.remotes[0].shown}; Triton's onnxruntime backend runs local models: deploy the "
            "remote part by itself, or serve the hybrid with oh.endpoint",
        )
    config = _config(name, whole)

    def fill(place: Path) -> None:
        (place / "config.pbtxt").write_text(config, encoding="utf-8")
        (place / str(version)).mkdir()
        whole.save(place / str(version) / "model.onnx")

    return write(repository, fill, overwrite=overwrite, known_by="config.pbtxt", name=name)


def _config(name: str, model: Model) -> str:
    """The configuration in protobuf's text form."""
    head = f'name: {json.dumps(name)}\nbackend: "onnxruntime"\nmax_batch_size: 0\n'
    return head + _tensors("input", model.inputs) + _tensors("output", model.outputs)


def _tensors(side: str, specs: Iterable[TensorSpec]) -> str:
    return "".join(f"{side} {{\n{_tensor(side, spec)}}}\n" for spec in specs)


def _tensor(side: str, spec: TensorSpec) -> str:
    if spec.dtype not in _TYPES:
        raise ModelError("OH411", f"Triton has no type for {spec}")
    if spec.shape is None:
        raise ModelError("OH411", f"Triton needs the rank of {spec}")
    lines = [f"name: {_quoted(spec.name)}", f"data_type: {_TYPES[spec.dtype]}"]
    dims = [size if isinstance(size, int) else -1 for size in spec.shape]
    lines.append(f"dims: {dims or [1]}")
    if not dims:
        lines.append("reshape { shape: [ ] }")  # the configuration has no scalars
    if side == "input" and spec.optional:
        lines.append("optional: true")
    return "".join(f"  {line}\n" for line in lines)


def _quoted(text: str) -> str:
    """A string in protobuf's text form, which reads bytes as octal numbers."""
    plain = {ord('"'): '\\"', ord("\\"): "\\\\"}
    written = (plain.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in text.encode())
    return f'"{"".join(written)}"'
