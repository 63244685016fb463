"""Lists a model's remote calls in its metadata_props, for whoever looks at the file (docs/metadata.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from onnx import ModelProto, NodeProto

from onnxhybrid.errors import Error
from onnxhybrid.model import audits
from onnxhybrid.model.flows import Reach, reaches
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.messages import replace
from onnxhybrid.model.old_operators import old_nodes
from onnxhybrid.model.opsets import imported
from onnxhybrid.model.parts import agreeing
from onnxhybrid.model.remote_spec import DOMAIN, RemoteSpec, is_remote

REMOTES = "onnxhybrid.remotes"
"""The metadata entry that lists, as JSON, each call that leaves the device."""

PARTS = "onnxhybrid.parts"
"""The metadata entry that tells, as JSON, which parts a composition was made of and what they call."""


def annotate(model: ModelProto, *, flows: bool = False) -> None:
    """Write the entry of the remote calls, in place; a model without any has none. Audits and parts agree with it.

    With `flows` it also says which inputs reach each call: what takes a walk through the whole graph is written once,
    where a model is saved, and not at each edit.
    """
    audits.agree(model)
    calls = described(model, flows=flows)
    for entry in model.metadata_props:
        if entry.key == PARTS and not any(old_nodes(model)):  # which call, too, and are not listed
            entry.value = agreeing(entry.value, calls)
    replace(model.metadata_props, [entry for entry in model.metadata_props if entry.key != REMOTES])
    if calls:
        model.metadata_props.add(key=REMOTES, value=json.dumps(calls))


def update(model: ModelProto, *, flows: bool = False) -> None:
    """Bring the entry up to date, in place, where there is one: nodes may have been renamed or dropped.

    Audits are brought into agreement with the model's certificate.
    """
    if any(entry.key == REMOTES for entry in model.metadata_props):
        annotate(model, flows=flows)
    else:
        audits.agree(model)


def described(model: ModelProto, *, flows: bool = False) -> list[dict[str, object]]:
    """What the entry says of a model's remote calls, those in branches and functions included; see `annotate`."""
    if DOMAIN not in imported(model):
        return []
    try:
        found = reaches(model) if flows else None
    except (ValueError, Error):  # a node or a function is malformed, which check finds; or there is no library
        found = None
    if found is None:
        return [_described(node) for node in all_nodes(model) if is_remote(node)]
    order = [value.name for value in model.graph.input]
    return [{**_described(reach.call.node), **_reached(reach, order)} for reach in found]


def _reached(reach: Reach, order: Sequence[str]) -> dict[str, object]:
    return {
        "content": [name for name in order if name in reach.content],
        "decides": [name for name in order if name in reach.decides],
        "max_bytes": reach.bytes,
    }


def move_parts(model: ModelProto, moved: Mapping[str, str]) -> None:
    """Write other endpoints into the entry of the parts, in place; one that is not ours stays as it is."""
    for entry in model.metadata_props:
        if entry.key == PARTS and moved:
            try:
                entry.value = json.dumps(_moved(json.loads(entry.value), moved))
            except (ValueError, RecursionError):
                continue


def _moved(told: object, moved: Mapping[str, str]) -> object:
    if isinstance(told, list):
        return [_moved(each, moved) for each in told]
    if not isinstance(told, dict):
        return told
    return {key: _urls(value, moved) if key == "endpoints" else _moved(value, moved) for key, value in told.items()}


def _urls(urls: object, moved: Mapping[str, str]) -> object:
    known = isinstance(urls, list) and all(isinstance(url, str) for url in urls)
    return sorted({moved.get(url, url) for url in urls}) if known else urls  # type: ignore[attr-defined]


def _described(node: NodeProto) -> dict[str, object]:
    try:
        spec = RemoteSpec.of(node)
    except ValueError:  # malformed; check finds it
        return {"node": node.name}
    return {
        "node": spec.node,
        "protocol": spec.protocol,
        "endpoint": spec.endpoint,
        **({"endpoint_name": spec.endpoint_name} if spec.endpoint_name else {}),
        **({"endpoint_order": spec.endpoint_order} if spec.endpoint_order != "first" else {}),
        "model": spec.model,
        "version": spec.version,
        "sends": list(spec.inputs),
        "receives": list(spec.outputs),
        "auth": spec.auth,
        **({"auth_scheme": spec.auth_scheme} if spec.auth_scheme else {}),
        **({"headers": dict(spec.headers)} if spec.headers else {}),
        "timeout": spec.timeout,
        "connect_timeout": spec.connect_timeout,
        # Absent where none is set, as in files from before there was one.
        **({} if spec.attempt_timeout is None else {"attempt_timeout": spec.attempt_timeout}),
        "retries": spec.retries,
        **({"cache": dict(spec.cache)} if spec.cache else {}),
        **({"hedge": dict(spec.hedge)} if spec.hedge else {}),
        "on_error": spec.on_error,
        **({"audits": True} if spec.audits else {}),
    }
