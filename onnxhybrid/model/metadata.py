"""Lists a model's remote calls in its metadata_props, for whoever looks at the file (docs/metadata.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from onnx import ModelProto, NodeProto

from onnxhybrid.model import audits
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.messages import replace
from onnxhybrid.model.opsets import imported
from onnxhybrid.model.remote_spec import DOMAIN, RemoteSpec, is_remote

REMOTES = "onnxhybrid.remotes"
"""The metadata entry that lists, as JSON, each call that leaves the device."""

PARTS = "onnxhybrid.parts"
"""The metadata entry that tells, as JSON, which parts a composition was made of and what they call."""


def annotate(model: ModelProto) -> None:
    """Write the entry of the remote calls, in place; a model without any has none."""
    audits.agree(model)
    calls = described(model)
    replace(model.metadata_props, [entry for entry in model.metadata_props if entry.key != REMOTES])
    if calls:
        model.metadata_props.add(key=REMOTES, value=json.dumps(calls))


def update(model: ModelProto) -> None:
    """Bring the entry up to date, in place, where there is one: nodes may have been renamed or dropped.

    Audits are brought into agreement with the model's certificate.
    """
    if any(entry.key == REMOTES for entry in model.metadata_props):
        annotate(model)
    else:
        audits.agree(model)


def described(model: ModelProto) -> list[dict[str, object]]:
    """What the entry says of a model's remote calls, those in branches and functions included."""
    if DOMAIN not in imported(model):
        return []
    return [_described(node) for node in all_nodes(model) if is_remote(node)]


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
