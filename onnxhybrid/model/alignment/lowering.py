"""A model brought to an older version of a domain, where none of its operators is any other there."""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from onnxhybrid.model.functions import called, key_of
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.opsets import opsets_of, set_opsets, standard
from onnxhybrid.model.schemas import since_version


def oldest(model: ModelProto, domain: str) -> int:
    """The oldest version of a domain in which every operator is what it is in the version that the model imports."""
    version = opsets_of(model.opset_import)[domain]
    own = {key_of(function) for function in model.functions}
    nodes = [n for n in all_nodes(model) if standard(n.domain) == domain and called(n) not in own]
    return max((_since(node, domain, version) for node in nodes), default=1)


def _since(node: NodeProto, domain: str, version: int) -> int:
    return since_version(domain, node.op_type, version) or version


def lower_opset(model: ModelProto, domain: str, version: int) -> None:
    """Bring one domain of a model to an older version, no older than `oldest`, in place; its functions too."""
    set_opsets(model, opsets_of(model.opset_import) | {domain: version})
    for function in model.functions:
        for entry in function.opset_import:
            if standard(entry.domain) == domain and entry.version > version:
                entry.version = version
