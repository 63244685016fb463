"""The texts of feeds, as ONNX Runtime has to be given them so that it takes them as they are.

Its Python binding calls `str` on whatever an object array holds, so that bytes become their repr and None the text
"None"; it reads dtype S past the end of the array, and dtype U up to the first NUL. An object array of str it takes
whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error

_STRING = "tensor(string)"
_KINDS = frozenset("OSTU")
_BYTES = (bytes, bytearray, memoryview, np.void)

Array = npt.NDArray[Any]


def text_inputs(arguments: Sequence[Any]) -> dict[str, bool]:
    """The inputs (NodeArg) that take texts, and whether each takes a sequence of such tensors."""
    return {argument.name: "seq(" in argument.type for argument in arguments if _STRING in argument.type}


def exact(feeds: Mapping[str, Any], inputs: Mapping[str, bool]) -> Mapping[str, Any]:
    """The feeds, with the texts of these inputs as object arrays of str; what holds no text is left to ONNX Runtime.

    Bytes stand for the text whose UTF-8 they are.

    Args:
        feeds: input -> array, or what ONNX Runtime takes in place of one.
        inputs: what `text_inputs` says of the session.

    Raises:
        Error: OH543, a feed holds what is no text, or no UTF-8.
    """
    given = {name: _feed(name, feeds[name], several) for name, several in inputs.items() if name in feeds}
    return feeds if all(feeds[name] is value for name, value in given.items()) else {**feeds, **given}


def _feed(name: str, value: Any, several: bool) -> Any:
    if isinstance(value, np.ndarray):
        return _array(name, value) if _is_of_texts(value.dtype) else value
    if not isinstance(value, list):
        return value
    # ONNX Runtime makes a tensor of nested lists, and a sequence of a list of arrays.
    return [_feed(name, item, False) for item in value] if several else _array(name, _listed(value))


def _is_of_texts(dtype: np.dtype[Any]) -> bool:
    """Whether such an array can hold texts. The dtypes of ml_dtypes have numpy's kind V, but not its type."""
    return dtype.kind in _KINDS or (dtype.type is np.void and dtype.names is None and dtype.subdtype is None)


def _listed(values: list[Any]) -> Array:
    """Nested lists as an array of what they hold."""
    try:
        return np.array(values, object)
    except ValueError:  # the sizes of inner arrays differ
        whole = np.empty(len(values), object)
        whole[:] = values
        return whole


def _array(name: str, array: Array) -> Array:
    items = array.ravel().tolist()
    kinds = set(map(type, items))
    texts = items if kinds <= {str} else _texts(items, kinds)
    if not _are_utf8(texts):
        index = next(i for i, text in enumerate(texts) if not _are_utf8([text]))
        raise Error("OH543", _problem(name, items[index], np.unravel_index(index, array.shape)))
    if texts is items and array.dtype.kind == "O" and type(array) is np.ndarray:
        return array
    whole = np.empty(len(texts), object)
    whole[:] = texts
    return whole.reshape(array.shape)


def _texts(items: list[Any], kinds: set[type]) -> list[str | None]:
    """The texts of elements of these types; None for one that is no text."""
    if kinds == {bytes}:
        with suppress(UnicodeDecodeError):  # it is looked for below
            return list(map(bytes.decode, items))
    return [_text(item) for item in items]


def _text(item: object) -> str | None:
    """The text of an element; None where it is none."""
    if isinstance(item, str):
        return str.__str__(item)  # an enumeration's own would give its name
    if not isinstance(item, _BYTES):
        return None
    try:
        return (item.tobytes() if isinstance(item, np.void) else bytes(item)).decode()
    except UnicodeDecodeError:
        return None


def _are_utf8(texts: Sequence[str | None]) -> bool:
    """Whether all of them are texts that can be written as UTF-8: a lone surrogate cannot."""
    try:
        "".join(texts).encode()  # type: ignore[arg-type]  # a TypeError of None
    except (TypeError, UnicodeEncodeError):
        return False
    return True


def _problem(name: str, item: object, index: tuple[Any, ...]) -> str:
    """Why an element cannot pass. It is not shown: it may be a token."""
    place = f"the feed of {name!r} is" + (f", at {[int(i) for i in index]}," if index else "")
    if isinstance(item, str):
        return f"{place} a text with a lone surrogate, which UTF-8 cannot carry"
    if isinstance(item, _BYTES):
        return (
            f"{place} bytes that are no UTF-8, and a tensor of str is text. For a tensor of Triton's that holds bytes, "
            f"build the remote model with oh.remote.triton(…, bytes=[{name!r}]), and feed "
            "numpy.frombuffer(data, numpy.uint8)"
        )
    return f"{place} of type {type(item).__name__}, and the input takes texts: give str, or bytes of UTF-8"
