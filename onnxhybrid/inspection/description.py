"""`describe`: a model's parts, remote calls, tensors and sizes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnxhybrid import recipe
from onnxhybrid.errors import Error
from onnxhybrid.inspection.parts import Part, parts_of, shown_url, tree
from onnxhybrid.inspection.sections import SECTIONS
from onnxhybrid.model import Model, TensorSpec, load
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.metadata import described
from onnxhybrid.model.storage.companions import companions


@dataclass(frozen=True)
class Description:
    """What a model is made of. `str()` shows it to people, `document()` gives it as JSON has it.

    Attributes:
        model: the model.
        file: the path that it was read from; None for a Model that was given.
        bytes: the size of that file.
        weight_bytes: the bytes of its large weights, those in other files included; small ones lie in the graph.
        nodes: how many nodes it has, those in branches and functions included.
        parts: the composition that it is; None where it is none.
        remotes: its remote calls, as docs/metadata.md tells of them.
    """

    model: Model
    file: str | None
    bytes: int | None
    weight_bytes: int
    nodes: int
    parts: Part | None
    remotes: tuple[dict[str, Any], ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        model, own = self.model, self.model.skeleton
        return {
            "file": self.file,
            "name": model.name,
            "producer": f"{own.producer_name} {own.producer_version}".strip(),
            "ir_version": model.ir_version,
            "opsets": dict(model.opsets),
            "bytes": self.bytes,
            "weight_bytes": self.weight_bytes,
            "nodes": self.nodes,
            "inputs": [_tensor(spec) for spec in model.inputs],
            "outputs": [_tensor(spec) for spec in model.outputs],
            "parts": None if self.parts is None else self.parts.document(),
            "remotes": list(self.remotes),
            "recipe": _has_recipe(model),
            **{section.name: section.document(model) for section in SECTIONS},
        }

    def __str__(self) -> str:
        lines = [*self._head(), "inputs", *map(_line, self.model.inputs), "outputs", *map(_line, self.model.outputs)]
        if self.parts is not None:
            lines += ["parts", *(f"  {line}" for line in tree(self.parts))]
        lines.append("leaves the device" if self.remotes else "nothing leaves the device")
        for call in self.remotes:
            lines += _call(call)
        for section in SECTIONS:
            if told := section.lines(self.model):
                lines += [section.title, *(f"  {line}" for line in told)]
        return "\n".join(lines)

    def _head(self) -> list[str]:
        sizes = [] if self.bytes is None else [size(self.bytes)]
        sizes.append(f"{size(self.weight_bytes)} of weights" if self.weight_bytes else "no large weights")
        opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in self.model.opsets.items())
        return [
            f"{self.file or 'a model'}: {self.model.name or 'a graph without a name'}",
            f"  {', '.join(sizes)}; {self.nodes} nodes; opset {opsets}; IR {self.model.ir_version}",
        ]


def describe(model_or_path: Model | str | os.PathLike[str]) -> Description:
    """What a model, or the file of one, is made of. No weight is read, and nothing is sent.

    Raises:
        ModelError: OH100, the file cannot be read or is no model; OH107, its external data is not there.
    """
    given = isinstance(model_or_path, Model)
    model = model_or_path if isinstance(model_or_path, Model) else load(model_or_path)
    file = None if given else os.fspath(model_or_path)  # type: ignore[arg-type]
    other = companions(model.weights)
    return Description(
        model=model,
        file=file,
        bytes=None if file is None else Path(file).stat().st_size,
        weight_bytes=sum(source.length for key, source in model.weights.items() if key not in other),
        nodes=sum(1 for _ in all_nodes(model.skeleton)),
        parts=parts_of(model),
        remotes=tuple(
            {**call, "endpoint": shown_url(str(call.get("endpoint", "")))} for call in described(model.skeleton)
        ),
    )


def size(count: int) -> str:
    """A number of bytes for people."""
    number, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{count} B" if unit == "B" else f"{number:.1f} {unit}"


def _has_recipe(model: Model) -> bool:
    try:
        return bool(recipe.kept(model))
    except Error:
        return False


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    shape = None if spec.shape is None else list(spec.shape)
    return {"name": spec.name, "dtype": spec.dtype, "shape": shape, "optional": spec.optional}


def _line(spec: TensorSpec) -> str:
    return f"  {spec}{' (may be left out)' if spec.optional else ''}"


def _call(call: dict[str, Any]) -> list[str]:
    """The lines about one remote call."""
    model = " ".join(filter(None, (str(call.get("model", "")), str(call.get("version", "")))))
    auth = str(call.get("auth", "none"))
    token = "no token" if auth == "none" else "a token as an input" if auth == "input" else auth.replace(":", " ")
    failure = "a failure is data" if call.get("on_error") == "flag" else "a failure ends the run"
    sends, receives = (", ".join(call.get(key, ())) or "nothing" for key in ("sends", "receives"))
    return [
        f"  {call['node']}: {call.get('protocol')} {call.get('endpoint')} {model}".rstrip(),
        f"    sends {sends}; receives {receives}",
        f"    {token}; {call.get('timeout')} s, {call.get('retries')} repeats; {failure}",
    ]
