"""The remote nodes of a model, as data: what leaves the device, where to and how."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

from onnx import NodeProto, helper

from onnxhybrid import library
from onnxhybrid.model.caching import cache_of
from onnxhybrid.model.hedging import hedge_of
from onnxhybrid.model.request_groups import HEADERS, given_at_run_time, headers_of
from onnxhybrid.model.tensor_spec import Dim, TensorSpec

DOMAIN = "ai.onnxhybrid"
"""The operator domain of the remote nodes."""

INVOKE = "Invoke"
"""The operator type of a remote call."""

OPTIONAL_INPUTS = "optional_inputs"
"""The attribute that names inputs that may be left out, of the protocols that have it."""

BEGIN = "Begin"
"""The operator type of a remote call that goes on while other nodes run; its one output is a ticket."""

AWAIT = "Await"
"""The operator type that gives what the call of a ticket brought."""

CANCEL = "Cancel"
"""The operator type that drops the call of a ticket."""

DRAW = "Draw"
"""The operator type that draws some of the rows that were accepted; it calls nobody."""

AUDIT = "Audit"
"""The operator type of a call in the background, whose answer is compared with what was answered without it."""

BYTES_TENSORS = "bytes_tensors"
"""The attribute that says which tensors are bytes within an element of BYTES: name -> shape there, as JSON."""

FLAGS = (TensorSpec("ok", "bool", ()), TensorSpec("status", "int64", ()), TensorSpec("error", "str", ()))
"""The last outputs of a call whose `on_error` is "flag"."""


@dataclass(frozen=True)
class RemoteSpec:
    """One remote call of a model.

    Attributes:
        node: the node's name; it says which part of a composition the call belongs to.
        protocol: the wire protocol, such as `triton.http`.
        endpoint: the base URL; of an endpoint by name its default, or empty.
        model, version: what the server calls the model; an empty version is the server's choice.
        inputs, outputs: the tensors' names on the wire.
        auth: `none`, `input`, or `credential:NAME`.
        auth_scheme: how the token is carried: `bearer`, `api-key`, or empty for the protocol's own way.
        headers: each header of its requests with what it holds: `input`, `credential:NAME` or `text:VALUE`.
        timeout, connect_timeout: seconds; the first covers all attempts together.
        attempt_timeout: seconds for one attempt; None for as long as the call.
        retries: how often a call that is safe to repeat is repeated.
        on_error: `raise` or `flag`.
        endpoint_name: the name that a session resolves; empty where the endpoint is a URL alone.
        hedge: when a second request is sent beside one that takes long (`after` or `after_ms`), and how many (`most`);
            empty for never.
        endpoint_order: which of several URLs of the name takes a request: `first` or `spread`.
        cache: how answers are kept in memory: max_bytes, ttl in seconds where there is one, rows; empty where none are.
        audits: whether it asks, in the background, for some of what was answered without it.
    """

    node: str
    protocol: str
    endpoint: str
    model: str
    version: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    auth: str
    timeout: float
    connect_timeout: float
    attempt_timeout: float | None
    retries: int
    on_error: str
    auth_scheme: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    endpoint_name: str = ""
    endpoint_order: str = "first"
    cache: tuple[tuple[str, float | bool], ...] = ()
    hedge: tuple[tuple[str, float], ...] = ()
    audits: bool = False

    @property
    def credential(self) -> str | None:
        """The name of the credential that the call sends; None if it sends none."""
        kind, _, name = self.auth.partition(":")
        return name if kind == "credential" else None

    @property
    def credentials(self) -> tuple[str, ...]:
        """The names of all credentials that the call sends, as its token and in headers."""
        token = () if self.credential is None else (self.credential,)
        return tuple(dict.fromkeys((*token, *self.header_credentials)))

    @property
    def header_credentials(self) -> tuple[str, ...]:
        """The names of the credentials that the call sends in headers."""
        held = [value.partition(":") for _, value in self.headers]
        return tuple(dict.fromkeys(name for kind, _, name in held if kind == "credential"))

    @property
    def shown(self) -> str:
        """The endpoint for people: its name, and its URL with stars for the values of the query, which may be keys."""
        return shown_endpoint(self.endpoint, self.endpoint_name)

    @classmethod
    def of(cls, node: NodeProto) -> RemoteSpec:
        """The description of an Invoke, Begin or Audit node; attributes that it lacks have the library's defaults.

        Raises:
            ValueError: an attribute that the node must have is missing, or one has another type, or a text that it
                cannot have; the message says which.
            Error: OH550, an attribute is missing, and the library that knows its default cannot be used.
        """
        if (referring := next((entry.name for entry in node.attribute if entry.ref_attr_name), None)) is not None:
            raise ValueError(f"attribute {referring!r} refers to an attribute of a function, and has no value")
        values = attributes_of(node)
        if node.op_type in (BEGIN, AUDIT):
            _names(values, "output_types")
        if node.op_type == AUDIT:
            _names(values, "answers")
        return cls(
            node=node.name,
            protocol=_text(values, "protocol"),
            endpoint=_text({"endpoint": b"", **values} if values.get("endpoint_name") else values, "endpoint"),
            # These two belong to the protocol, which knows whether it needs them.
            model=_text({"model": b"", **values}, "model"),
            version=_text({"version": b"", **values}, "version"),
            inputs=_names(values, "input_names"),
            outputs=_names(values, "output_names"),
            auth=_auth(values),
            timeout=_integer(values, "timeout_ms") / 1000,
            connect_timeout=_integer(values, "connect_timeout_ms") / 1000,
            attempt_timeout=_integer(values, "attempt_timeout_ms") / 1000 or None,
            retries=_integer(values, "retries"),
            on_error=_on_error(values),
            auth_scheme=_auth_scheme(values),
            headers=_headers(node, values),
            endpoint_name=_endpoint_name(values),
            endpoint_order=_endpoint_order(values),
            cache=cache_of(_text({"cache": b"", **values}, "cache")),
            hedge=tuple(hedge_of(_text({"hedge": b"", **values}, "hedge")).items()),
            audits=node.op_type == AUDIT,
        )


def shown_endpoint(url: str, name: str) -> str:
    """An endpoint for people: its name, and its URL with stars for the values of the query, which may be keys."""
    if "?" in url:
        url = str(library.endpoint(url).get("shown", url))
    if not name:
        return url
    return f"{name} ({url})" if url else name


def is_endpoint_name(name: object) -> TypeGuard[str]:
    """Whether an endpoint can be called this. The variable of `token` holds that of the embedded endpoint."""
    letters = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) is not None
    return letters and str(name).lower() != "token"


def is_remote(node: NodeProto) -> bool:
    """Whether the node makes a remote call."""
    return node.domain == DOMAIN and node.op_type in (INVOKE, BEGIN, AUDIT)


def gives_results(node: NodeProto) -> bool:
    """Whether the node's outputs come from a remote call, and so need a declared type."""
    return node.domain == DOMAIN and node.op_type in (INVOKE, AWAIT)


def call_inputs(node: NodeProto) -> list[str]:
    """The inputs of a remote node that belong to its call; of an audit not what it compares and passes on."""
    if node.op_type != AUDIT:
        return list(node.input)
    try:
        compared = len(_names(attributes_of(node), "answers"))
    except ValueError:  # the library refuses the node
        return list(node.input)
    return list(node.input)[: -compared - 1]


def result_count(node: NodeProto, spec: RemoteSpec) -> int:
    """How many outputs a remote node has: those of the call, the ticket, or what an audit passes on."""
    if node.op_type in (BEGIN, AUDIT):
        return 1
    return len(spec.outputs) + (len(FLAGS) if spec.on_error == "flag" else 0)


def blobs_of(node: NodeProto) -> frozenset[str]:
    """The tensors of a remote node, by their names on the wire, that are elements of BYTES there.

    A malformed attribute names none: the library refuses the node.
    """
    try:
        shapes = json.loads(attributes_of(node).get(BYTES_TENSORS, "{}"))
    except (TypeError, ValueError):
        return frozenset()
    return frozenset(shapes if isinstance(shapes, dict) else ())


def option_names(node: NodeProto) -> tuple[str, ...]:
    """The options of the node's protocol that are inputs of the node.

    Raises:
        ValueError: the attribute is no JSON array of strings.
    """
    values = attributes_of(node)
    return _names(values, "option_names") if values.get("option_names") else ()


def omissible_inputs(nodes: Iterable[NodeProto]) -> dict[str, Dim]:
    """The tensors that remote calls take as inputs that may be left out, with the first size that each has otherwise.

    A graph declares no fixed size of them, since their defaults have none. A malformed node has no such input.
    """
    sizes: dict[str, Dim] = {}
    for node in filter(is_remote, nodes):
        values = attributes_of(node)
        if not values.get(OPTIONAL_INPUTS):
            continue
        try:
            names, optional = _names(values, "input_names"), _names(values, OPTIONAL_INPUTS)
            shapes = json.loads(_text({"input_shapes": b"[]", **values}, "input_shapes") or "[]")
        except (ValueError, RecursionError):  # a stranger's text may be deep
            continue
        given = call_inputs(node)
        travelling = given[len(given) - len(names) :]
        known = shapes if isinstance(shapes, list) and shapes else [None] * len(names)
        firsts = [shape[0] if isinstance(shape, list) and shape else None for shape in known]
        sizes |= {
            tensor: first for name, tensor, first in zip(names, travelling, firsts, strict=False) if name in optional
        }
    return sizes


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """The node's attributes as Python values; those that refer to an attribute of a function have none."""
    return {
        attribute.name: helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if not attribute.ref_attr_name
    }


def _value(values: dict[str, Any], name: str) -> Any:
    """The attribute's value, or what holds without it."""
    if name in values:
        return values[name]
    # Only here, so that to read a file that is whole loads no library.
    default = library.default(name)
    if default is None:
        raise ValueError(f"attribute {name!r} is missing")
    return default.encode() if isinstance(default, str) else default


def _text(values: dict[str, Any], name: str) -> str:
    value = _value(values, name)
    if not isinstance(value, bytes):
        raise ValueError(f"attribute {name!r} is no string")
    return value.decode("utf-8")


def _integer(values: dict[str, Any], name: str) -> int:
    value = _value(values, name)
    if not isinstance(value, int):
        raise ValueError(f"attribute {name!r} is no int")
    return value


def _names(values: dict[str, Any], name: str) -> tuple[str, ...]:
    try:
        names = json.loads(_text(values, name))
    except (json.JSONDecodeError, RecursionError):  # a stranger's text may be deep
        names = None
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise ValueError(f"attribute {name!r} is no JSON array of strings")
    return tuple(names)


def _auth(values: dict[str, Any]) -> str:
    auth = _text(values, "auth")
    kind, _, name = auth.partition(":")
    if auth not in ("none", "input") and not (kind == "credential" and name):
        raise ValueError(f"attribute 'auth' is none, input or credential:NAME, not {auth!r}")
    return auth


def _auth_scheme(values: dict[str, Any]) -> str:
    scheme = _text({"auth_scheme": b"", **values}, "auth_scheme")
    if scheme not in ("", "bearer", "api-key"):
        raise ValueError(f"attribute 'auth_scheme' is bearer or api-key, not {scheme!r}")
    return scheme


def _headers(node: NodeProto, values: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    held = [
        (name, f"text:{value}" if isinstance(value, str) else f"credential:{value['credential']}")
        for name, value in headers_of(values).items()
    ]
    return (*held, *((name, "input") for name in given_at_run_time(option_names(node), HEADERS)))


def _endpoint_name(values: dict[str, Any]) -> str:
    name = _text({"endpoint_name": b"", **values}, "endpoint_name")
    if name and not is_endpoint_name(name):
        raise ValueError("attribute 'endpoint_name' has 1 to 64 letters, digits, '_', '-' and '.', and is not 'token'")
    return name


def _endpoint_order(values: dict[str, Any]) -> str:
    order = _text({"endpoint_order": b"first", **values}, "endpoint_order")
    if order not in ("first", "spread"):
        raise ValueError(f"attribute 'endpoint_order' is first or spread, not {order!r}")
    return order


def _on_error(values: dict[str, Any]) -> str:
    on_error = _text(values, "on_error")
    if on_error not in ("raise", "flag"):
        raise ValueError(f"attribute 'on_error' is raise or flag, not {on_error!r}")
    return on_error
