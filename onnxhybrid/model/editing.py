"""The edits behind Model's methods: each changes a skeleton that the caller owns."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from onnxhybrid.errors import ModelError
from onnxhybrid.model import audits
from onnxhybrid.model.certificate import rename_in_certificate
from onnxhybrid.model.dtypes import is_container, numpy_dtype
from onnxhybrid.model.function_names import prefix_functions
from onnxhybrid.model.graphs import all_nodes, reads
from onnxhybrid.model.messages import replace
from onnxhybrid.model.naming import GraphTree, Taken, injective
from onnxhybrid.model.remote_spec import attributes_of, is_remote
from onnxhybrid.model.sequential import make_sequential
from onnxhybrid.model.tensor_spec import TensorSpec
from onnxhybrid.model.texts import is_name, is_text
from onnxhybrid.model.training import drop_broken, rename_trained, trained_names

SCORE = "onnxhybrid.score"
"""The metadata entry of a judge that names the inner tensor which it compares; it follows renames."""


def rename(model: ModelProto, names: Mapping[str, str]) -> None:
    """Rename tensors; inner tensors that are in the way move."""
    if not isinstance(names, Mapping):
        raise ModelError("OH109", f"rename takes a mapping such as {{'old': 'new'}}, not {names!r}")
    tree = GraphTree(model.graph)
    existing = tree.tensor_names()
    for old, new in names.items():
        known(old, existing, "tensor")
        if not is_name(new):
            raise ModelError("OH113", f"{old!r} cannot be renamed to {new!r}: a name is a non-empty text")
    public = {value.name for value in (*model.graph.input, *model.graph.output)}
    targets = [*names.values(), *(name for name in public if name not in names)]
    if doubled := _doubled(targets):
        raise ModelError("OH113", f"two tensors would be called {doubled!r}")
    every = existing | trained_names(model)
    _rename(model, tree, injective({old: new for old, new in names.items() if old != new}, every))


def add_prefix(model: ModelProto, prefix: str, *, inputs: bool, outputs: bool, functions: bool) -> None:
    """Put a prefix before every tensor's and node's name, inputs, outputs and model-local functions as is asked."""
    if not is_text(prefix):
        raise ModelError("OH113", f"a prefix is a text, not {prefix!r}")
    for switch, value in {"inputs": inputs, "outputs": outputs, "functions": functions}.items():
        if not isinstance(value, bool):
            raise ModelError("OH113", f"{switch} is True or False, not {value!r}")
    tree = GraphTree(model.graph)
    graphs = [model.graph, *(info.algorithm for info in model.training_info)]
    kept = {value.name for graph in graphs for value in (() if inputs else graph.input)}
    kept.update(value.name for graph in graphs for value in (() if outputs else graph.output))
    taken = Taken(kept)
    every = tree.tensor_names() | trained_names(model)
    _rename(model, tree, {name: taken.take(prefix + name) for name in sorted(every - kept)})
    for part in (tree, *map(GraphTree, graphs[1:])):
        part.rename_nodes(lambda name: prefix + name)
    if functions:
        prefix_functions(model, prefix)


def _rename(model: ModelProto, tree: GraphTree, names: Mapping[str, str]) -> None:
    tree.rename_tensors(names)
    rename_trained(model, names)
    audits.rename(model, names)
    for entry in model.metadata_props:
        if entry.key == SCORE:
            entry.value = names.get(entry.value, entry.value)
    rename_in_certificate(model, names)


def select(model: ModelProto, outputs: Iterable[str]) -> None:
    """Keep these outputs and what they need."""
    if not isinstance(outputs, Iterable):
        raise ModelError("OH109", f"select takes the names of outputs, not {outputs!r}")
    outputs = list(outputs)
    by_name = {value.name: value for value in model.graph.output}
    if doubled := _doubled(outputs):
        raise ModelError("OH113", f"the output {doubled!r} is named twice")
    if not outputs:
        raise ModelError("OH109", f"select needs at least one output of {_listed(by_name)}")
    kept = [by_name[name] for name in outputs]
    # A remote call needs the declared types of all that it gives, chosen or not.
    model.graph.value_info.extend(value for name, value in by_name.items() if name not in outputs)
    make_sequential(model.graph)  # else what is kept would wait for calls that are not
    replace(model.graph.output, kept)
    prune(model.graph)
    drop_broken(model, "select")


def prune(graph: GraphProto) -> None:
    """Drop the nodes, initializers, inputs and value_info that no output needs."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            needed.update(reads(node))
            kept.append(node)
    needed.update(name for node in kept for name in node.output)
    _keep(graph.node, kept[::-1])
    for field in (graph.initializer, graph.input, graph.value_info):
        _keep(field, [entry for entry in field if entry.name in needed])
    _keep(graph.sparse_initializer, [entry for entry in graph.sparse_initializer if entry.values.name in needed])


def drop_unused(graph: GraphProto) -> None:
    """Drop the initializers that nothing reads."""
    read = {name for node in graph.node for name in reads(node)}
    read.update(value.name for value in (*graph.input, *graph.output))
    _keep(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])


def _keep(field: Any, entries: list[Any]) -> None:
    if len(entries) != len(field):
        replace(field, entries)


def free_initializers(model: ModelProto) -> None:
    """Lift a model above IR 3, where initializers had to be inputs although nobody could feed them."""
    if model.ir_version >= 4:
        return
    constant = {tensor.name for tensor in model.graph.initializer}
    model.graph.value_info.extend(value for value in model.graph.input if value.name in constant)
    _keep(model.graph.input, [value for value in model.graph.input if value.name not in constant])
    model.ir_version = 4


def bind(model: ModelProto, values: Mapping[str, object]) -> None:
    """Make inputs constant."""
    free_initializers(model)
    inputs = {value.name: value for value in model.graph.input}
    secret = tokens(model)
    for name, value in values.items():
        known(name, inputs, "input")
        if name in secret:
            raise ModelError("OH303", f"the input {name!r} is a token, and an artifact holds no credential")
        tensor = numpy_helper.from_array(_fitting(TensorSpec.of(inputs[name]), value), name)
        _keep(model.graph.initializer, [entry for entry in model.graph.initializer if entry.name != name])
        model.graph.initializer.append(tensor)
        model.graph.input.remove(inputs[name])


def tokens(model: ModelProto) -> set[str]:
    """The tensors that remote calls take as their tokens."""
    return {node.input[0] for node in all_nodes(model) if is_remote(node) and _takes_token(node)}


def _takes_token(node: NodeProto) -> bool:
    return attributes_of(node).get("auth") == b"input" and bool(node.input)


def _fitting(spec: TensorSpec, value: object) -> npt.NDArray[Any]:
    """The value as an array of the input's dtype and a shape that fits it.

    Raises:
        ModelError: OH111, it does not fit.
    """
    array = as_dtype(spec, value)
    if spec.shape is None or _fits(array.shape, spec.shape):
        return array
    single = (1,) * len(spec.shape)
    if array.size == 1 and _fits(single, spec.shape):
        return array.reshape(single)
    raise ModelError("OH111", f"a value of shape {array.shape} was given for {spec}")


def as_dtype(spec: TensorSpec, value: object) -> npt.NDArray[Any]:
    """The value as an array of the dtype that `spec` wants.

    Raises:
        ModelError: OH111, that would change it, other than by rounding a float.
    """
    if is_container(spec.dtype):
        raise ModelError("OH111", f"{spec} is no tensor and cannot be given a value")
    # A numpy array of fixed width drops NULs at the end of its strings.
    try:
        array = np.asarray(value, None if isinstance(value, np.ndarray) or spec.dtype != "str" else object)
    except (TypeError, ValueError, OverflowError) as problem:
        raise ModelError("OH111", f"what was given for {spec} is no array: {problem}") from None
    wanted = numpy_dtype(spec.dtype)
    if spec.dtype == "str":
        if array.dtype.kind not in "OUST" or not all(is_text(entry) for entry in array.flat):
            raise ModelError("OH111", f"{spec} takes texts, not {array.dtype} of other things or of broken Unicode")
        return array.astype(object)
    integers = array.dtype.kind in "iu" and wanted.kind in "iu"
    if array.dtype != wanted and not integers and not _same_kind(array.dtype, wanted):
        raise ModelError("OH111", f"{spec} takes {spec.dtype}, not {array.dtype}")
    converted = array.astype(wanted)
    if array.dtype.kind in "iu" and not np.array_equal(converted.astype(array.dtype), array):
        raise ModelError("OH111", f"{value!r} does not fit into {spec.dtype}, the dtype of {spec.name!r}")
    return converted


def _same_kind(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    return given.kind in "biuf" and np.can_cast(given, wanted, "same_kind")


def _fits(shape: tuple[int, ...], wanted: tuple[int | str | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        not isinstance(want, int) or size == want for size, want in zip(shape, wanted, strict=True)
    )


def set_metadata(model: ModelProto, metadata: Mapping[str, str]) -> None:
    """Add or replace metadata_props."""
    if not isinstance(metadata, Mapping):
        raise ModelError("OH111", f"metadata is a mapping of texts, not {metadata!r}")
    for key, value in metadata.items():
        if not is_name(key) or not is_text(value):
            raise ModelError("OH111", f"metadata is text by name, not {key!r}: {value!r}")
    for key, value in metadata.items():
        # The others are not touched: they may be no UTF-8, and then nothing can write them anew.
        for entry in [e for e in model.metadata_props if e.key == key] or [model.metadata_props.add(key=key)]:
            entry.value = value


def known(name: object, names: Collection[str], kind: str) -> None:
    """Refuse a name that is none of `names`.

    Raises:
        ModelError: OH109, with the name that it may be meant for.
    """
    if name not in names:
        names = list(names)
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {_listed(names)}"
        raise ModelError("OH109", f"the model has no {kind} {name!r}{hint}")


def _listed(names: Iterable[str], most: int = 12) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(map(repr, ordered[:most])) + more


def _doubled(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
