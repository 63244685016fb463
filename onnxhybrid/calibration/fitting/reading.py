"""The tensors that a fit reads of a local model: taken from the data, or computed by the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.compose.build.maps import without_maps
from onnxhybrid.errors import Error, ModelError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.dtypes import FLOATS, INTEGERS
from onnxhybrid.model.editing import as_dtype
from onnxhybrid.runtime import Session

Array = npt.NDArray[Any]

_BATCH = 256


@dataclass(frozen=True)
class Tensors:
    """What was read.

    Attributes:
        values: tensor -> an entry for each row along the first axis.
        fed: the rows as they are known by: the local model's inputs, where the data hold them, else what was read.
        dtypes: tensor -> its dtype in the local model.
    """

    values: dict[str, Array]
    fed: dict[str, Array]
    dtypes: dict[str, str]


def probabilities_of(local: Model) -> str:
    """The output that holds the probabilities or logits of classes: the one of floats, or the one that is called so.

    Raises:
        Error: OH620, there is none, or it is not clear which.
    """
    floats = [spec for spec in local.outputs if spec.dtype in FLOATS and (spec.shape is None or len(spec.shape) <= 2)]
    for words in (("prob",), ("logit", "score"), ("",)):
        named = [spec for spec in floats if any(word in spec.name.lower() for word in words)]
        if len(named) == 1:
            return named[0].name
        if named:
            break
    held = ", ".join(map(str, local.outputs)) or "nothing"
    raise Error(
        "OH620",
        f"which output holds the probabilities of classes is not clear: local gives {held}; call one "
        "'probabilities', as in local.rename({'output': 'probabilities'}), or drop others with select",
    )


def answer_of(local: Model, labels: Array) -> str | None:
    """The output of local that is compared with labels; None where it is the place of the largest probability."""
    texts = labels.dtype.kind in "OUS"
    kinds = ("str",) if texts else INTEGERS
    found = [s.name for s in local.outputs if s.dtype in kinds and (s.shape is None or len(s.shape) in (1, 2))]
    if len(found) > 1:
        named = [name for name in found if "label" in name.lower() or "class" in name.lower()]
        found = named if len(named) == 1 else found
    if len(found) == 1:
        return found[0]
    if texts or found:
        held = ", ".join(map(str, local.outputs))
        raise Error("OH623", f"which output of local the labels are compared with is not clear: local gives {held}; "
                    "give good as a bool for each row")  # fmt: skip
    return None


def opened(local: Model) -> Model:
    """The model with a tensor in the place of each map of scores."""
    (model, _), _ = without_maps(local, local)
    return model  # type: ignore[no-any-return]


def read(local: Model, data: object, names: Sequence[str]) -> Tensors:
    """Each of the named tensors of local, for all rows of data.

    Args:
        local: the model.
        data: what it is fed, or these very tensors, by name; or an iterator of such mappings; an array for its only
            input.
        names: outputs, inputs and inner tensors.

    Raises:
        Error: OH621, the data do not fit; OH622, there is no such tensor.
    """
    inner = _inner(local, names)
    model = local.expose(inner) if inner else local
    specs = {spec.name: spec for spec in (*model.outputs, *model.inputs)}
    for name in names:
        if specs[name].dtype not in (*FLOATS, *INTEGERS, "bool", "str"):
            raise Error("OH622", f"{specs[name]} is no tensor of numbers; features are numbers or bools")
    parts = [part for item in _items(local, data) if (part := _batch(model, item, names)) is not None]
    if not parts:
        raise Error("OH621", "there are no rows to fit on")
    values, fed = ({n: _joined([p[i][n] for p in parts], n) for n in parts[0][i]} for i in (0, 1))
    return Tensors(values, fed, {name: specs[name].dtype for name in names})


def _inner(local: Model, names: Sequence[str]) -> list[str]:
    public = {spec.name for spec in (*local.inputs, *local.outputs)}
    inner = [name for name in names if name not in public]
    known = {spec.name for spec in local.tensors()}
    if unknown := [name for name in inner if name not in known]:
        public_names = ", ".join(map(repr, sorted(public)))
        raise Error("OH622", f"local has no tensor {unknown[0]!r}; its inputs and outputs: {public_names}; "
                    "local.tensors() lists all")  # fmt: skip
    return inner


def _items(local: Model, data: object) -> Iterator[dict[str, Array]]:
    if isinstance(data, (Mapping, np.ndarray)):
        yield _table(local, data)
        return
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes)):
        raise Error("OH621", f"data is a mapping of arrays, or an iterator of them, not {type(data).__name__}")
    listed = (
        data
        if not isinstance(data, (list, tuple)) or any(isinstance(e, (Mapping, np.ndarray)) for e in data)
        else [data]
    )
    for item in listed:  # whose arrays may be those of the item before, with other numbers
        yield {name: array.copy() for name, array in _table(local, item).items()}


def _table(local: Model, item: object) -> dict[str, Array]:
    if not isinstance(item, Mapping):
        required = [spec for spec in local.inputs if not spec.optional]
        if len(required) != 1:
            raise Error("OH621", f"local takes {', '.join(map(str, local.inputs))}: data is a mapping, input -> array")
        item = {required[0].name: item}
    inputs = {spec.name: spec for spec in local.inputs}
    table = {name: _array(inputs.get(name), name, value) for name, value in item.items()}
    sizes = {name: len(array) for name, array in table.items()}
    if len(set(sizes.values())) != 1:
        listed = ", ".join(f"{name!r} {size}" for name, size in sizes.items()) or "nothing"
        raise Error("OH621", f"each array has an entry for each row along its first axis; here are {listed}")
    return table


def _array(spec: TensorSpec | None, name: str, value: object) -> Array:
    try:
        array = as_dtype(spec, value) if spec else np.asarray(value)
    except (ModelError, ValueError) as problem:
        raise Error("OH621", f"the data of {name!r} do not fit: {problem}") from None
    if array.ndim == 0:
        raise Error("OH621", f"the data of {name!r} have no axis; each row is an entry along the first")
    return array


_Part = tuple[dict[str, Array], dict[str, Array]]


def _batch(model: Model, table: dict[str, Array], names: Sequence[str]) -> _Part | None:
    """The named tensors of some rows, and these rows as they are known by."""
    inputs = {spec.name for spec in model.inputs}
    fed = {name: array for name, array in table.items() if name in inputs}
    if not len(next(iter(table.values()))):
        return None
    for spec in model.outputs:
        if spec.name in names and spec.name in table and spec.name not in inputs:
            _require_like(spec, table[spec.name])
    if all(name in table for name in names):
        return {name: table[name] for name in names}, fed or {name: table[name] for name in names}
    given = [name for name in names if name in table and name not in inputs]
    if given and (lacking := [name for name in names if name not in table and name not in inputs]):
        raise Error(
            "OH621",
            f"the data hold {given[0]!r} and lack {lacking[0]!r}, which local may answer otherwise than the model that "
            "gave that; give all outputs that are read, or what local is fed alone",
        )
    if missing := [str(s) for s in model.inputs if not s.optional and s.name not in table]:
        raise Error("OH621", f"the data lack {missing[0]} of local; they hold {', '.join(map(repr, table))}")
    wanted = [name for name in names if name not in table]
    found = _run(model, fed, wanted)
    return {**{name: table[name] for name in names if name in table}, **found}, fed


def _require_like(spec: TensorSpec, array: Array) -> None:
    """Check that what is given in the place of an output could be one.

    Raises:
        Error: OH621, it has other sizes, or is of another kind.
    """
    sizes = zip((spec.shape or ())[1:], array.shape[1:], strict=False)
    if any(isinstance(size, int) and size != found for size, found in sizes):
        raise Error("OH621", f"the data of {spec.name!r} have the shape {list(array.shape)}, and local gives {spec}")
    if (spec.dtype == "str") != (array.dtype.kind in "OUST"):
        raise Error("OH621", f"the data of {spec.name!r} are {array.dtype}, and local gives {spec}")


def _run(model: Model, fed: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    session = Session(model)
    rows = len(next(iter(fed.values())))
    many = all(spec.shape and not isinstance(spec.shape[0], int) for spec in model.inputs if spec.name in fed)
    shapes = {spec.name: spec.shape for spec in model.inputs}
    results: list[list[Array]] = []
    for start in range(0, rows, _BATCH if many else 1):
        part = {name: array[start : start + (_BATCH if many else 1)] for name, array in fed.items()}
        if not many:
            part = {n: a[0] if len(shapes[n] or a.shape) == a.ndim - 1 else a for n, a in part.items()}
        outputs = session.run(list(wanted), part)
        count = min(_BATCH, rows - start) if many else 1
        results.append([_rows(np.asarray(o), count, many, name) for o, name in zip(outputs, wanted, strict=True)])
    return {name: np.concatenate([each[place] for each in results]) for place, name in enumerate(wanted)}


def _rows(output: Array, count: int, many: bool, name: str) -> Array:
    """An output with an entry for each row; that of one row alone may lack the axis."""
    if not many:
        return output.reshape(1, -1)
    if not output.ndim or len(output) != count:
        raise Error("OH622", f"{name!r} has the shape {list(output.shape)} for {count} rows: no entry for each row")
    return output


def _joined(parts: list[Array], name: str) -> Array:
    try:
        return np.concatenate(parts)
    except ValueError:
        raise Error("OH621", f"the batches of {name!r} have different shapes") from None
