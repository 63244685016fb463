"""How much memory JSON takes once it is read, told from its bytes before they are. Pure functions.

Python's values are larger than their JSON: `[],` is 3 bytes and a list of 56. The weights are upper bounds for CPython,
so a body that passes is never a surprise.
"""

from __future__ import annotations

from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.memory import Hold, allowance

_SLOT = 9 + 8  # in its list, which grows ahead of what it holds; and in the array that is made of it
_LIST = 88
_OBJECT = 184
_KEY = 80
_TEXT = 64
_NUMBER = 32


def json_weight(text: bytes | memoryview) -> int:
    """The most bytes that a JSON text and the values that are read from it take."""
    text = bytes(text)
    lists, objects, keys = text.count(b"["), text.count(b"{"), text.count(b":")
    texts, commas = text.count(b'"') // 2, text.count(b",")
    values = commas + lists + objects + 1
    written = (len(text) - commas - lists) // 2  # what has one character is a value that Python keeps anyway
    numbers = min(written, max(0, values - lists - objects - max(0, texts - keys)))
    tree = _SLOT * values + _LIST * lists + _OBJECT * objects + _KEY * keys + _TEXT * texts + _NUMBER * numbers
    return tree + len(text) * (_width(text) + (_text_width(text) if texts else 0))


_BELOW_THREE = bytes(range(0xC4))
_BELOW_FOUR = bytes(range(0xF0))


def _width(text: bytes) -> int:
    """The bytes of a character in Python's str of a UTF-8 text, by its highest one."""
    if text.isascii():
        return 1
    return 4 if text.translate(None, _BELOW_FOUR) else 2 if text.translate(None, _BELOW_THREE) else 1


def _text_width(text: bytes) -> int:
    """The same of the strings in it, whose characters may be written as escapes."""
    escaped = 1 if b"\\u" not in text else 4 if b"\\ud" in text.lower() else 2
    return max(escaped, _width(text))


def weigh(text: bytes | memoryview, hold: Hold) -> None:
    """Take the memory for a JSON text that is about to be read.

    Raises:
        RequestError: status 413, its values would take far more memory than its bytes; or as `hold` says.
    """
    weight = json_weight(text)
    if weight > allowance(len(text)):
        raise RequestError(
            f"the JSON of {len(text)} bytes holds so many small values that they take up to {weight} bytes of memory: "
            "send tensors as binary data, or in several requests",
            413,
        )
    hold(weight)
