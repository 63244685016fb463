"""The one-node Model that every builder makes: an Invoke node with wire names, declared types, settings and options."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec

from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from onnxhybrid import library
from onnxhybrid.errors import ModelError
from onnxhybrid.model.batching import BATCH, Slices, cut_problem
from onnxhybrid.model.check import endpoint_problem
from onnxhybrid.model.keywords import known_keywords, require_known
from onnxhybrid.model.model import Model
from onnxhybrid.model.remote_spec import DOMAIN, FLAGS, INVOKE, OPTIONAL_INPUTS, blobs_of
from onnxhybrid.model.tensor_spec import Input, Shape, TensorSpec
from onnxhybrid.model.texts import is_name, is_text
from onnxhybrid.remote.auth import Auth, Credential, checked
from onnxhybrid.remote.cache import Cache, require_cache
from onnxhybrid.remote.groups import Headers, check_headers, checked_headers, header_inputs, headers_attribute
from onnxhybrid.remote.hedge import Hedge, hedge_problem
from onnxhybrid.remote.named_endpoint import Endpoint, asked_at
from onnxhybrid.remote.omission import absences, leaveable, omissible
from onnxhybrid.remote.options import Options
from onnxhybrid.remote.own_paths import own_path_problem

OnError = Literal["raise", "flag"]
_P = ParamSpec("_P")

DAY = 86_400.0

_IR = 8
_VERSION = 1


@dataclass(frozen=True)
class CallSettings:
    """What every remote call has: see the builders for what each means.

    The defaults are those of the node's attributes, which the library declares.

    Raises:
        ModelError: OH303 or OH304, one of them has a value that it cannot have.
    """

    auth: Auth = None
    headers: Headers | None = None
    timeout: float = field(default_factory=lambda: library.default("timeout_ms") / 1000)
    connect_timeout: float = field(default_factory=lambda: library.default("connect_timeout_ms") / 1000)
    attempt_timeout: float | None = None
    retries: int = field(default_factory=lambda: library.default("retries"))
    batch: int | None = None
    cache: Cache | None = None
    hedge: Hedge | None = None
    on_error: OnError = field(default_factory=lambda: library.default("on_error"))
    name: str | None = None

    def __post_init__(self) -> None:
        checked(self.auth)
        object.__setattr__(self, "headers", checked_headers(self.headers))
        _seconds("timeout", self.timeout)
        _seconds("connect_timeout", self.connect_timeout)
        if self.attempt_timeout is not None:
            _seconds("attempt_timeout", self.attempt_timeout)
        if not isinstance(self.retries, int) or isinstance(self.retries, bool) or not 0 <= self.retries <= 100:
            raise ModelError("OH304", f"retries is an int from 0 to 100, not {self.retries!r}")
        if self.batch is not None and (
            not isinstance(self.batch, int) or isinstance(self.batch, bool) or not 0 <= self.batch < 2**32
        ):
            said = "batch is the rows of one request, an int, 0 for all rows in one, or None"
            raise ModelError("OH304", f"{said}, not {self.batch!r}")
        if problem := hedge_problem(self.hedge, self.timeout, self.attempt_timeout):
            raise ModelError("OH304", problem)
        require_cache(self.cache)
        if self.on_error not in ("raise", "flag"):
            raise ModelError("OH304", f"on_error is 'raise' or 'flag', not {self.on_error!r}")
        if self.name is not None and not is_name(self.name):
            raise ModelError("OH304", f"name is a non-empty text or None, not {self.name!r}")

    @property
    def scheme(self) -> str:
        """How the token is carried; empty for the protocol's own way."""
        return (self.auth.scheme or "") if isinstance(self.auth, Credential) else ""

    @classmethod
    def of(cls, common: Mapping[str, Any], **defaults: Any) -> CallSettings:
        """The settings that a builder was given, over defaults of its own.

        Raises:
            ModelError: OH303 or OH304, there is no such setting, or one has a value that it cannot have.
        """
        require_known("a builder", common, cls.__dataclass_fields__)
        return cls(**{**defaults, **common})

    def attributes(self) -> dict[str, str | int]:
        """These settings as attributes of the node; what is given at run time is none."""
        scheme, headers = self.scheme, headers_attribute(self.headers or {})
        return {
            "auth": _auth(self.auth),
            **({"auth_scheme": scheme} if scheme else {}),
            **({"headers": headers} if headers else {}),
            "timeout_ms": _milliseconds(self.timeout),
            "connect_timeout_ms": _milliseconds(self.connect_timeout),
            "attempt_timeout_ms": 0 if self.attempt_timeout is None else _milliseconds(self.attempt_timeout),
            "retries": self.retries,
            **({} if self.batch is None else {BATCH: self.batch}),
            **({"hedge": self.hedge.attribute} if self.hedge else {}),
            **({"cache": self.cache.attribute} if self.cache else {}),
            "on_error": self.on_error,
        }


def builder(function: Callable[_P, Model]) -> Callable[_P, Model]:
    """A decorator of builders: an argument that neither the builder nor `CallSettings` has is told with a near one."""
    return known_keywords(*CallSettings.__dataclass_fields__)(function)


@dataclass(frozen=True)
class Target:
    """What a call goes to: the protocol, the base URL or its name, and the model there, where the protocol has one.

    Raises:
        ModelError: OH301, the endpoint is no base URL of the protocol, or the model has no name; OH303, the endpoint
            holds a credential; OH325, it holds the protocol's own path.
    """

    protocol: str
    endpoint: str | Endpoint
    model: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        row = library.protocols()[self.protocol]
        for what in ("endpoint", "model", "version"):
            value = getattr(self, what)
            if isinstance(value, Endpoint):
                value = value.name
            if not is_text(value) or (not value and what in ("endpoint", *row["required"])):
                kind = "a text" if what == "version" else "a non-empty text"
                hint = "; several URLs are for an oh.Endpoint by name" if isinstance(value, (list, tuple)) else ""
                given = type(value).__name__ if value else repr(value)
                raise ModelError("OH301", f"{what} is {kind}, not {given}{hint if what == 'endpoint' else ''}")
        url = self.attributes()["endpoint"]
        if not url:
            return
        if problem := endpoint_problem(self.protocol, url):
            raise ModelError(*problem)
        if instead := own_path_problem(self.protocol, url):
            raise ModelError("OH325", instead)

    def attributes(self) -> dict[str, str]:
        """These as attributes of the node; an endpoint by name has its default, or nothing, as the URL."""
        own = {"protocol": self.protocol, "model": self.model, "version": self.version}
        if not isinstance(self.endpoint, Endpoint):
            return {**own, "endpoint": self.endpoint}
        named = {"endpoint": self.endpoint.default or "", "endpoint_name": self.endpoint.name}
        return {**own, **named, "endpoint_order": self.endpoint.order}


def describe(target: Target, settings: CallSettings) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The inputs and outputs that the server says the model has.

    Where the token is given at run time only, the server is asked without one; likewise a header.

    Raises:
        ModelError: OH327, the endpoint is a name that leads nowhere.
        RemoteError: the server could not be asked.
    """
    check_headers(settings.headers or {}, target.protocol, settings.scheme)
    request = {**vars(target), "endpoint": asked_at(target.endpoint, target.protocol), **settings.attributes()}
    for name in ("retries", "batch", "cache", "hedge", "on_error"):
        request.pop(name, None)
    if isinstance(settings.auth, Input):
        request["auth"] = "none"
    answer = library.Scope({}).describe(request)
    return _specs(answer["inputs"]), _specs(answer["outputs"])


def invoke(
    target: Target,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    settings: CallSettings,
    options: Options | None = None,
    slices: Slices | None = None,
) -> Model:
    """A Model of one Invoke node; its tensors are called as on the wire. It has `slices` where its `batch` is None.

    Raises:
        ModelError: OH110, a description is malformed; OH301, two tensors have one name, or the protocol has no form for
            one; OH322, a header cannot be sent.
    """
    _carried(target.protocol, (*inputs, *outputs))
    omissible(target.protocol, inputs)
    headers = settings.headers or {}
    check_headers(headers, target.protocol, settings.scheme)
    token, options = _token(settings.auth), (options or Options()).plus(header_inputs(headers))
    if not outputs:
        raise ModelError("OH301", "a remote model has at least one output")
    public = (*((token,) if token else ()), *options.inputs, *map(leaveable, inputs))
    results = (*outputs, *(FLAGS if settings.on_error == "flag" else ()))
    _distinct((*public, *results))
    cut = (slices if settings.batch is None else None) or Slices(settings.batch or 0, 0)
    node = _node(target, inputs, outputs, settings, options)
    taken, given = ([(spec.name, spec.shape) for spec in tensors] for tensors in (inputs, outputs))
    if problem := cut_problem(target.protocol, cut, taken, given, blobs_of(node)):
        raise ModelError("OH304", problem)
    if cut is slices:
        node.attribute.extend(helper.make_attribute(name, value) for name, value in cut.attributes().items())
    node.input.extend(spec.name for spec in public)
    node.output.extend(spec.name for spec in results)
    graph = helper.make_graph(
        [node],
        node.name,
        [spec.to_value_info() for spec in public],
        [_result(spec, settings.on_error) for spec in results],
        [*options.defaults, *absences(inputs)],
    )
    return Model(_model(graph), {})


def _model(graph: GraphProto) -> ModelProto:
    imports = [helper.make_opsetid(DOMAIN, _VERSION)]
    return helper.make_model(graph, ir_version=_IR, opset_imports=imports, producer_name="onnxhybrid")


def _node(
    target: Target,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    settings: CallSettings,
    options: Options,
) -> NodeProto:
    attributes: dict[str, Any] = {**target.attributes(), **settings.attributes(), **options.attributes}
    if options.names:
        attributes["option_names"] = json.dumps(options.names)
    if left_out := [spec.name for spec in inputs if spec.optional]:
        attributes[OPTIONAL_INPUTS] = json.dumps(left_out)
    return helper.make_node(
        INVOKE,
        [],
        [],
        name=settings.name or target.model or target.protocol,
        domain=DOMAIN,
        input_names=json.dumps([spec.name for spec in inputs]),
        output_names=json.dumps([spec.name for spec in outputs]),
        input_shapes=json.dumps([spec.shape for spec in inputs]),
        output_shapes=json.dumps([spec.shape for spec in outputs]),
        **attributes,
    )


def _result(spec: TensorSpec, on_error: OnError) -> ValueInfoProto:
    """An output's declaration; one that may come out empty promises neither its sizes nor, for a scalar, its rank."""
    if on_error == "raise" or spec in FLAGS:
        return spec.to_value_info()
    return TensorSpec(spec.name, spec.dtype, _may_be_empty(spec.shape)).to_value_info()


def _may_be_empty(shape: Shape | None) -> Shape | None:
    if not shape:
        return None
    if any(not isinstance(size, int) for size in shape):
        return shape
    return (None, *shape[1:])


def _token(auth: Auth) -> TensorSpec | None:
    """The graph input of a token, which has the shape [1]; None when no token is given at run time."""
    return TensorSpec(auth.name or "auth_token", "str", (1,)) if isinstance(auth, Input) else None


def _auth(auth: Auth) -> str:
    if isinstance(auth, Credential):
        return f"credential:{auth.name}"
    return "none" if auth is None else "input"


def _seconds(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= DAY:
        raise ModelError("OH304", f"{name} is in seconds, above 0 and up to {DAY:.0f}, not {value!r}")


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def _specs(rows: Sequence[dict[str, object]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(**row) for row in rows)  # type: ignore[arg-type]


def specs(given: object) -> tuple[TensorSpec, ...]:
    """The descriptions that a user gave.

    Raises:
        ModelError: OH110, they are no list of TensorSpec.
    """
    if isinstance(given, Iterable) and not isinstance(given, str):
        listed = tuple(given)
        if all(isinstance(spec, TensorSpec) for spec in listed):
            return listed
    raise ModelError("OH110", f"inputs and outputs are lists of oh.TensorSpec, not {given!r}")


def _carried(protocol: str, specs: Iterable[TensorSpec]) -> None:
    known: dict[str, str] = library.protocols()[protocol]["dtypes"]
    for spec in specs:
        if spec.dtype not in known:
            raise ModelError(
                "OH301", f"{protocol} has no form for {spec}; it has {', '.join(known)}: cast it in the graph"
            )


def _distinct(specs: Sequence[TensorSpec]) -> None:
    names = [spec.name for spec in specs]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(
            "OH301", f"two tensors of the remote model are called {doubled[0]!r}; a graph needs a name for each"
        )
