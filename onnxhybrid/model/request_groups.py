"""What a remote call sends beside its tensors under names of its author's own: headers, further fields, parameters.

The library has the tables of what no call may name, and checks a node when a session opens; this says it earlier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from onnxhybrid import library
from onnxhybrid.model.json_objects import object_of
from onnxhybrid.model.secret_texts import is_secret

HEADERS = "headers"
"""The group of the headers, which nodes of every protocol have."""

FIELDS = ("extra", "parameters")
"""The groups of further fields, which are attributes of some protocols."""

LONGEST = 16384
"""Bytes that the value of a header may have."""

HeaderValue = str | Mapping[str, str]
"""A text, or {"credential": name}."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GRPC_NAME = re.compile(r"[0-9A-Za-z_.-]+")
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_HOST = re.compile(r"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_RANDOM = re.compile(r"[A-Za-z0-9+/=_.-]{20,}")

Problem = tuple[str, str]
"""A code, and what is wrong."""


def header_problem(name: str, value: HeaderValue | None, protocol: str, scheme: str) -> Problem | None:
    """What is wrong with a header of a node of `protocol` that carries its token as `scheme` says; None: nothing.

    Args:
        name, value: the header; None stands for a value that is given at run time.
        protocol: the node's protocol, one that there is.
        scheme: its `auth_scheme`.
    """
    lower, row = name.lower(), library.protocols()[protocol]
    grpc = "grpc" in row["schemes"]
    if not _NAME.fullmatch(name):
        return "OH322", f"{name!r} is no name of a header"
    token = "it carries the token, which is given as auth"
    refused = {
        **library.refused_headers(),
        **({"api-key": token} if "api-key" in (scheme, row["authentication"]) else {}),
    }
    for own, why in refused.items():
        if _is(own, lower):
            return "OH322", f"the header {name!r} is not for a node to give: {why}"
    if grpc and not _GRPC_NAME.fullmatch(name):
        return "OH322", f"the header {name!r} is no key of gRPC's metadata: letters, digits, '-', '_' and '.'"
    if isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) > LONGEST:
        return "OH322", f"the header {name!r} has more than {LONGEST} bytes"
    if isinstance(value, str):
        return None if grpc and lower.endswith("-bin") else _value_problem(name, lower, value)
    if value is not None and lower == "host":
        return "OH322", "the header 'Host' is no secret: give it as a text"
    return None


def _value_problem(name: str, lower: str, value: str) -> Problem | None:
    if not _VALUE.fullmatch(value):
        return "OH322", (
            f"the header {name!r} has a value that no request carries: visible ASCII characters, and spaces or tabs "
            "between them"
        )
    if lower == "host" and not _HOST.fullmatch(value):
        return "OH322", f"the header 'Host' is {value!r}, which is no host such as example.com or example.com:8443"
    return None


def doubled_header(names: Iterable[str]) -> Problem | None:
    """What is wrong with headers that are given together: two of one name, whose case does not count."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return "OH322", f"the header {name!r} is given twice; the case of a header's name does not count"
        seen.add(name.lower())
    return ("OH322", f"there are {len(seen)} headers, more than 64") if len(seen) > 64 else None


def field_problem(protocol: str, group: str, name: str) -> Problem | None:
    """What is wrong with a field that `extra` or `parameters` names: that the protocol says it itself."""
    for own, instead in library.protocols()[protocol]["own_fields"].items():
        if _is(own, name):
            return "OH323", f"{group} names {name!r}, which {protocol} says itself: {instead}"
    return None if name else ("OH301", f"{group} has a field without a name")


def _is(own: str, name: str) -> bool:
    return name.startswith(own[:-1]) if own.endswith("*") else name == own


def looks_secret(name: str, value: str) -> bool:
    """Whether a constant header holds a secret: by the form of its text, or a long random text under a key's name."""
    last = re.split(r"[^a-z0-9]+", name.lower())[-1]
    named = last.endswith(("key", "token", "secret", "password", "signature", "cookie"))
    return is_secret(value) or (named and _RANDOM.fullmatch(value) is not None and re.search(r"\d", value) is not None)


def headers_of(values: Mapping[str, Any]) -> dict[str, HeaderValue]:
    """The constant headers and those of credentials in the attributes of a node.

    Raises:
        ValueError: the attribute is no JSON object of texts and credentials.
    """
    headers = object_of(HEADERS, values.get(HEADERS))
    for value in headers.values():
        named = isinstance(value, dict) and set(value) == {"credential"} and isinstance(value["credential"], str)
        if not isinstance(value, str) and not named:
            raise ValueError('attribute "headers" holds texts, and credentials as {"credential": name}')
    return headers


def given_at_run_time(options: Iterable[str], group: str) -> tuple[str, ...]:
    """The names in a group of what the inputs of a node give, in the order of `option_names`."""
    return tuple(name.partition(".")[2] for name in options if name.partition(".")[0] == group)


def problems(values: Mapping[str, Any], options: tuple[str, ...], protocol: str) -> Iterator[Problem]:
    """What is wrong with the groups of a node that has these attributes, and these options as inputs.

    Raises:
        ValueError: an attribute is no JSON object of what belongs there.
    """
    scheme = values.get("auth_scheme", b"").decode("utf-8", "replace")
    headers: dict[str, HeaderValue | None] = {**headers_of(values)}
    given = given_at_run_time(options, HEADERS)
    found = [header_problem(name, value, protocol, scheme) for name, value in headers.items()]
    found += [header_problem(name, None, protocol, scheme) for name in given]
    found.append(doubled_header((*headers, *given)))
    for name, value in headers.items():
        if isinstance(value, str) and looks_secret(name, value):
            found.append(("OH306", f"the header {name!r} holds what looks like a secret; give it as oh.Credential"))
    for group in FIELDS:
        names = (*object_of(group, values.get(group)), *given_at_run_time(options, group))
        if names and group not in library.protocols()[protocol]["attributes"]:
            found.append(("OH301", f"{protocol} has no {group}"))
        found += [field_problem(protocol, group, name) for name in names]
    yield from (problem for problem in found if problem is not None)
