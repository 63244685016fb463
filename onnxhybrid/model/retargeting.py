"""`Model.retarget`: remote calls that go to another base URL."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from onnx import ModelProto, NodeProto, helper

from onnxhybrid import library
from onnxhybrid.errors import ModelError
from onnxhybrid.model.check import endpoint_problem
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.metadata import move_parts
from onnxhybrid.model.remote_spec import RemoteSpec, is_remote
from onnxhybrid.model.texts import is_name


def retarget(model: ModelProto, urls: Mapping[str, str]) -> None:
    """Move the remote nodes of a skeleton, and what its metadata says of the parts that it was made of.

    Of an endpoint by name the default is moved.

    Raises:
        ModelError: OH116, no call goes to one of the URLs; OH301 or OH303, a new one is no base URL for its calls.
    """
    if not isinstance(urls, Mapping) or not all(is_name(url) for pair in urls.items() for url in pair):
        takes = "retarget takes a mapping such as {'http://127.0.0.1:8000': 'https://gpu.example'}"
        raise ModelError("OH116", f"{takes}; a name in place of a URL, and several URLs, are for oh.Endpoint")
    calls = [(node, RemoteSpec.of(node)) for node in _readable(model)]
    moved: dict[str, str] = {}
    endpoints = sorted({spec.endpoint for _, spec in calls} - {""})
    if unused := [url for url in urls if not any(_covers(url, endpoint) for endpoint in endpoints)]:
        raise _nowhere(unused[0], endpoints)
    for node, spec in calls:
        base = max((url for url in urls if _covers(url, spec.endpoint)), key=len, default=None)
        if base is not None and spec.endpoint:
            moved[spec.endpoint] = _checked(spec, _joined(urls[base], _rest(spec.endpoint, base)))
            _set_endpoint(node, moved[spec.endpoint])
    move_parts(model, moved)


def _readable(model: ModelProto) -> Iterator[NodeProto]:
    for node in filter(is_remote, all_nodes(model)):
        try:
            RemoteSpec.of(node)
        except ValueError as problem:
            raise ModelError("OH301", f"node {node.name!r}: {problem}") from None
        yield node


def _covers(url: str, endpoint: str) -> bool:
    """Whether the endpoint is the URL, or goes on from its path."""
    return endpoint == url or (_base(endpoint) + "/").startswith(url.rstrip("/") + "/")


def _rest(endpoint: str, url: str) -> str:
    """What the endpoint's path has more than the URL's."""
    return endpoint.partition("?")[0][len(_base(url)) :]


def _base(url: str) -> str:
    """The URL up to its query, which belongs to the host that it was made for."""
    return url.partition("?")[0].rstrip("/")


def _joined(base: str, path: str) -> str:
    url, mark, query = base.partition("?")
    return url.rstrip("/") + path + mark + query if path.strip("/") else base


def _checked(spec: RemoteSpec, endpoint: str) -> str:
    if flaw := endpoint_problem(spec.protocol, endpoint):
        code, problem = flaw
        raise ModelError(code, f"node {spec.node!r} cannot be moved: {problem}")
    return endpoint


def _set_endpoint(node: NodeProto, endpoint: str) -> None:
    for attribute in node.attribute:
        if attribute.name == "endpoint":
            attribute.CopyFrom(helper.make_attribute("endpoint", endpoint))


def _nowhere(url: str, endpoints: list[str]) -> ModelError:
    known = [str(library.endpoint(endpoint).get("shown", endpoint)) for endpoint in endpoints]
    near = difflib.get_close_matches(url, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its calls go to {', '.join(map(repr, known)) or 'nowhere'}"
    return ModelError("OH116", f"no remote call of the model goes to {url!r}; {hint}")
