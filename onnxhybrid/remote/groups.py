"""`headers=`, `extra=` and `parameters=` of the builders: what a call sends under names of the user's own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxhybrid.errors import ModelError
from onnxhybrid.model.request_groups import HEADERS, doubled_header, field_problem, header_problem, looks_secret
from onnxhybrid.model.tensor_spec import Input
from onnxhybrid.model.texts import is_name, is_text
from onnxhybrid.remote.auth import Credential

Headers = Mapping[str, str | Credential | Input]
"""Headers by name: a text, a credential, or a value given at run time."""

Fields = Mapping[str, Any]
"""Further fields by name: a JSON value, or an `oh.Input`."""


def checked_headers(headers: object) -> dict[str, str | Credential | Input]:
    """The headers that a builder was given, as far as they can be told without its protocol.

    Raises:
        ModelError: OH304, they are no mapping of names to texts, credentials and inputs; OH306, a constant looks like a
            token, or the default of an input does.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ModelError("OH304", f"headers is a mapping such as {{'Host': 'example.com'}}, not {_kind(headers)}")
    if unnamed := [name for name in headers if not is_text(name)]:
        raise ModelError("OH304", f"headers has a name that is no text, but {_kind(unnamed[0])}")
    for name, value in headers.items():
        if not isinstance(value, (Credential, Input)) and not is_text(value):
            raise ModelError(
                "OH304", f"the header {name!r} is a text, an oh.Credential or an oh.Input, not {_kind(value)}"
            )
        if isinstance(value, Credential) and value.scheme is not None:
            raise ModelError("OH304", f"the header {name!r} holds the credential itself; a scheme is for auth alone")
        constant = value.default if isinstance(value, Input) else value
        if isinstance(constant, str) and looks_secret(name, constant):
            raise ModelError(
                "OH306", f"the header {name!r} would hold what looks like a secret; use oh.Credential('name')"
            )
    return dict(headers)


def check_headers(headers: Mapping[str, str | Credential | Input], protocol: str, scheme: str) -> None:
    """Check that a node of a protocol, which carries its token as `scheme` says, can send these headers.

    Raises:
        ModelError: OH322, it cannot.
    """
    problems = [
        header_problem(name, _told(value), protocol, scheme)
        for name, value in headers.items()
        if not isinstance(value, Input) or value.default is None or isinstance(value.default, str)
    ]
    for problem in (*problems, doubled_header(headers)):
        if problem is not None:
            raise ModelError(*problem)


def headers_attribute(headers: Mapping[str, str | Credential | Input]) -> str:
    """The attribute of a node that has the constant headers and those of credentials; empty for none."""
    values = {
        name: {"credential": value.name} if isinstance(value, Credential) else value
        for name, value in headers.items()
        if not isinstance(value, Input)
    }
    return json.dumps(values) if values else ""


def header_inputs(headers: Mapping[str, str | Credential | Input]) -> dict[str, tuple[Input, str]]:
    """The headers that are inputs, by their names among the options, with the dtype of each."""
    return {f"{HEADERS}.{name}": (value, "str") for name, value in headers.items() if isinstance(value, Input)}


def fields(protocol: str, group: str, given: object) -> tuple[str, dict[str, tuple[Input, str]]]:
    """The attribute of `extra` or `parameters`, and its fields that are inputs, by their names among the options.

    Raises:
        ModelError: OH304, it is no mapping of names to values that can be sent; OH323, the protocol says one itself.
    """
    if given is None:
        return "", {}
    if not isinstance(given, Mapping):
        raise ModelError("OH304", f"{group} is a mapping of names to values, such as {{'seed': 7}}, not {_kind(given)}")
    if unnamed := [name for name in given if not is_name(name)]:
        what = "is empty" if unnamed[0] == "" else f"is no text, but {_kind(unnamed[0])}"
        raise ModelError("OH304", f"{group} has a name that {what}")
    for name in given:
        if problem := field_problem(protocol, group, name):
            raise ModelError(*problem)
    values = {name: _value(group, name, value) for name, value in given.items() if not isinstance(value, Input)}
    inputs = {f"{group}.{name}": (value, _dtype(value)) for name, value in given.items() if isinstance(value, Input)}
    return json.dumps(values, ensure_ascii=False) if values else "", inputs


def _told(value: str | Credential | Input) -> str | dict[str, str] | None:
    if isinstance(value, Credential):
        return {"credential": value.name}
    return value if isinstance(value, str) else (value.default if isinstance(value.default, str) else None)


def _value(group: str, name: str, value: object) -> object:
    """A value as JSON has it; a parameter is a single one."""
    plain = _plain(value)
    single = isinstance(plain, (bool, int, float, str))
    whole = not isinstance(plain, int) or -(2**63) <= plain < 2**64
    if plain is _NONE or (group == "parameters" and not (single and whole)):
        kinds = "a bool, an int of 64 bits, a finite number, a text" if group == "parameters" else "a JSON value"
        raise ModelError("OH304", f"{group}[{name!r}] is {kinds} or an oh.Input, not {_culprit(value)}")
    return plain


def _culprit(value: object) -> str:
    """What cannot be sent: a value itself, or what stands inside it and has no form in JSON."""
    if isinstance(value, Mapping) and (unnamed := [name for name in value if not is_text(name)]):
        return f"one with a name that is no text, but {_kind(unnamed[0])}"
    parts = list(value.values()) if isinstance(value, Mapping) else value
    wrong = [part for part in parts if _plain(part) is _NONE] if isinstance(parts, (list, tuple)) else []
    if not wrong:
        return _kind(value)
    if isinstance(wrong[0], Input):
        return "one with an oh.Input inside it, which stands for a whole field"
    inner = _culprit(wrong[0])
    return inner if inner.startswith("one with") else f"one with {inner} inside it"


_NONE = object()
"""No value that JSON has."""


def _plain(value: object) -> Any:
    """The value without numpy's types and tuples; `_NONE` where a part of it has no form in JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int):
        return int(value)
    if is_text(value):
        return str(value)
    if isinstance(value, Mapping):
        parts = {name: _plain(part) for name, part in value.items()}
        return _NONE if _NONE in parts.values() or not all(map(is_text, parts)) else parts
    if isinstance(value, (list, tuple, np.ndarray)):
        items = [_plain(item) for item in value]
        return _NONE if any(item is _NONE for item in items) else items
    return _NONE


def _dtype(given: Input) -> str:
    """The dtype of an input that has a name of the user's own: that of its default, without one str."""
    default = given.default
    single = default[0] if isinstance(default, (list, tuple)) and len(default) == 1 else default
    for kinds, dtype in _DTYPES:
        if isinstance(single, kinds):
            return dtype
    return "str"


_DTYPES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bool, np.bool_), "bool"),
    ((int, np.integer), "int64"),
    ((float, np.floating), "float32"),
)


def _kind(value: object) -> str:
    """What a value is, without its text, which may be a token by mistake."""
    if isinstance(value, float):
        return str(value)
    return type(value).__name__
