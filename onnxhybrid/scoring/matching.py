"""Which column becomes which input, by the types of both; what does not fit is told before anything is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from onnxhybrid.errors import Error
from onnxhybrid.feeds.fitting import fitted
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import is_container, numpy_dtype
from onnxhybrid.model.tensor_spec import Shape
from onnxhybrid.scoring.columns import is_bytes
from onnxhybrid.scoring.plan import Feed
from onnxhybrid.suggesting import near

Array = npt.NDArray[Any]


def constants_of(specs: Sequence[TensorSpec], feeds: Mapping[str, Any]) -> dict[str, Array]:
    """The inputs that are the same for all rows, as arrays.

    Raises:
        Error: OH641, there is no such input; OH642, a value does not fit.
    """
    known = {spec.name: spec for spec in specs}
    found = {}
    for name, value in feeds.items():
        if name not in known:
            raise Error("OH641", f"feeds names {name!r}{near(str(name), known)}; the inputs are {_named(known)}")
        spec = known[name]
        try:
            array = np.asarray(value, object if spec.dtype == "str" else None)
            found[name] = fitted(array, spec, f"feeds[{name!r}]")
        except Error as problem:
            raise Error("OH642", problem.message) from None
        except (ValueError, TypeError) as problem:
            raise Error("OH642", f"feeds[{name!r}] is no array for {spec}: {problem}") from None
    return found


def columns_of(
    specs: Sequence[TensorSpec], columns: Mapping[str, str], constants: Collection[str], schema: pa.Schema, source: str
) -> dict[str, str]:
    """Input -> the column that it takes.

    An input of one element, such as a threshold or a token, is no column unless it is named in `columns`, or has to be
    fed and has a column of its name.

    Raises:
        Error: OH641, an input or a column is not there, or is given twice.
    """
    known = {spec.name: spec for spec in specs}
    for name, column in columns.items():
        if name not in known:
            raise Error("OH641", f"columns names the input {name!r}{near(str(name), known)}; there are {_named(known)}")
        if name in constants:
            raise Error("OH641", f"the input {name!r} is given in columns and in feeds")
        if column not in schema.names:
            raise Error("OH641", f"{source} has no column {column!r} for the input {known[name]}; {_held(schema)}")
    found = dict(columns)
    for spec in specs:
        if spec.name in found or spec.name in constants or (_is_single(spec) and spec.optional):
            continue
        if spec.name in schema.names:
            found[spec.name] = spec.name
        elif not spec.optional:
            how = f"feeds={{{spec.name!r}: …}}" if _is_single(spec) else f"columns={{{spec.name!r}: …}}"
            raise Error(
                "OH641", f"{source} has no column for the input {spec}{near(spec.name, schema.names)}; {_held(schema)};"
                f" say where it is, as in {how}"
            )  # fmt: skip
    if not found:
        raise Error("OH641", f"no input is fed from a column: {source} {_held(schema)}, the inputs are {_named(known)}")
    return found


def feed_of(spec: TensorSpec, column: str, kind: pa.DataType, source: str) -> Feed:
    """How a column becomes an input.

    Raises:
        Error: OH641, their types do not fit.
    """

    def unfit(what: str) -> Error:
        return Error("OH641", f"{source}, column {column!r} of {kind}: {what}; the input is {spec}")

    if is_container(spec.dtype):
        raise unfit("a column is fed to tensors alone")
    sizes, leaf = _opened(kind)
    if is_bytes(leaf):
        if spec.dtype != "uint8" or sizes:
            raise unfit("bytes are fed to inputs of uint8; texts are columns of strings")
        sizes = (None,)
    elif not _holds(leaf, spec):
        raise unfit(f"{leaf} is no {spec.dtype}")
    shape, lists = spec.shape, len(sizes)
    if shape is not None and not sizes and len(shape) > 1 and all(size == 1 for size in shape[1:]):
        sizes = (1,) * (len(shape) - 1)  # a number is the value of [n, 1], as models of tables have an input a column
    if shape is None or len(shape) == len(sizes) + 1:
        stacked, inner = True, shape[1:] if shape is not None else (None,) * len(sizes)
    elif len(shape) == len(sizes):
        stacked, inner = False, shape
    else:
        raise unfit(f"a row's value has {len(sizes)} axes, and one of the input {max(len(shape) - 1, 0)}")
    if shape and stacked and isinstance(shape[0], int) and shape[0] != 1:
        raise unfit(f"the input takes {shape[0]} rows, neither one nor any number; open it with model.declare")
    return Feed(spec, column, _agreed(sizes, inner, unfit), stacked, lists)


def _agreed(sizes: Sequence[int | None], inner: Shape, unfit: Any) -> tuple[int | None, ...]:
    """The sizes of a row's value, as far as the column or the input fixes them."""
    found = []
    for size, wanted in zip(sizes, inner, strict=True):
        fixed = wanted if isinstance(wanted, int) else None
        if size is not None and fixed is not None and size != fixed:
            raise unfit(f"its lists have {size} elements, and {fixed} are taken")
        found.append(size if fixed is None else fixed)
    return tuple(found)


def _opened(kind: pa.DataType) -> tuple[tuple[int | None, ...], pa.DataType]:
    """The sizes of the lists of a type, and what they hold at last."""
    sizes: list[int | None] = []
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        elif pa.types.is_fixed_size_list(kind):
            sizes.append(kind.list_size)
            kind = kind.value_type
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            sizes.append(None)
            kind = kind.value_type
        else:
            return tuple(sizes), kind


def _holds(leaf: pa.DataType, spec: TensorSpec) -> bool:
    """Whether values of an Arrow type can be an input's."""
    if pa.types.is_string(leaf) or pa.types.is_large_string(leaf) or pa.types.is_string_view(leaf):
        return spec.dtype == "str"
    if spec.dtype == "str":
        return False
    if pa.types.is_boolean(leaf):
        return spec.dtype == "bool"
    numbers = pa.types.is_integer(leaf) or pa.types.is_floating(leaf)
    return numbers and numpy_dtype(spec.dtype).kind in "iufV"


def is_certain(kind: pa.DataType, feed: Feed) -> bool:
    """Whether every value of a column fits that is not null, by its type alone."""
    sizes, leaf = _opened(kind)
    if is_bytes(leaf):
        return not feed.stacked
    if None in sizes or isinstance(kind, pa.BaseExtensionType):
        return False
    if feed.spec.dtype == "str":
        return True
    try:
        return np.can_cast(np.dtype(leaf.to_pandas_dtype()), numpy_dtype(feed.spec.dtype), "safe")
    except (TypeError, NotImplementedError):
        return False


def _is_single(spec: TensorSpec) -> bool:
    return spec.shape in ((), (1,))


def _named(names: Collection[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _held(schema: pa.Schema) -> str:
    return f"it has the columns {_named(schema.names)}"
