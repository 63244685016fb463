"""Lists a model's remote calls in its metadata_props, for whoever looks at the file (docs/metadata.md)."""

from __future__ import annotations

import json

from onnx import ModelProto, NodeProto

from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.messages import replace
from onnxhybrid.model.opsets import imported
from onnxhybrid.model.remote_spec import DOMAIN, RemoteSpec, is_remote

REMOTES = "onnxhybrid.remotes"
"""The metadata entry that lists, as JSON, each call that leaves the device."""


def annotate(model: ModelProto) -> None:
    """Write the entry of the remote calls, in place; a model without any has none."""
    calls = [_described(node) for node in _remote_nodes(model)]
    replace(model.metadata_props, [entry for entry in model.metadata_props if entry.key != REMOTES])
    if calls:
        model.metadata_props.add(key=REMOTES, value=json.dumps(calls))


def update(model: ModelProto) -> None:
    """Bring the entry up to date, in place, where there is one: nodes may have been renamed or dropped."""
    if any(entry.key == REMOTES for entry in model.metadata_props):
        annotate(model)


def _remote_nodes(model: ModelProto) -> list[NodeProto]:
    return [node for node in all_nodes(model) if is_remote(node)] if DOMAIN in imported(model) else []


def _described(node: NodeProto) -> dict[str, object]:
    try:
        spec = RemoteSpec.of(node)
    except ValueError:  # malformed; check finds it
        return {"node": node.name}
    return {
        "node": spec.node,
        "protocol": spec.protocol,
        "endpoint": spec.endpoint,
        "model": spec.model,
        "version": spec.version,
        "sends": list(spec.inputs),
        "receives": list(spec.outputs),
        "auth": spec.auth,
        "timeout": spec.timeout,
        "connect_timeout": spec.connect_timeout,
        "retries": spec.retries,
        "on_error": spec.on_error,
    }
