"""The nodes that audit a cascade, and what the model's certificate promises of the rows that they compare.

A certificate is an entry of the metadata, which no kernel sees. So what an audit has to know of it is written into the
node's attributes whenever the entry may have changed: they follow it, and say nothing where it says nothing of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, helper

from onnxhybrid.model.certificate import CERTIFICATE
from onnxhybrid.model.graphs import all_nodes, attribute_graphs, nested_graphs, reads
from onnxhybrid.model.json_object import json_object
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import rename_tensors
from onnxhybrid.model.opsets import imported
from onnxhybrid.model.remote_spec import AUDIT, DOMAIN, DRAW, attributes_of

ANSWERS, ANSWER_OUTPUTS, BY_ROW = "answers", "answer_outputs", "by_row"
"""Attributes of an audit: the outputs of its call that are compared; output of the model -> one of them, as JSON; and
whether rows count for themselves."""

COMPARED, PROMISED = "compared", "promised"
"""What follows from the certificate: those of the answers that it speaks of, and the most rows that differ."""


def agree(model: ModelProto) -> None:
    """Bring the audits of a model into agreement with its certificate, in place."""
    if DOMAIN not in imported(model):
        return
    certificate = _certificate(model)
    outputs = {value.name for value in model.graph.output}
    for node in _audits(model):
        told = _told(node, certificate, outputs)
        if _known(node) != told:
            kept = [attribute for attribute in node.attribute if attribute.name not in (COMPARED, PROMISED)]
            replace(node.attribute, [*kept, *(helper.make_attribute(name, value) for name, value in told.items())])


def disagreeing(model: ModelProto) -> Iterator[NodeProto]:
    """The audits that know something else than what the certificate says of them."""
    if DOMAIN in imported(model):
        certificate, outputs = _certificate(model), {value.name for value in model.graph.output}
        yield from (node for node in _audits(model) if _known(node) != _told(node, certificate, outputs))


def _known(node: NodeProto) -> dict[str, Any]:
    """What an audit knows of the certificate, as `_told` gives it."""
    told = {name: value for name, value in attributes_of(node).items() if name in (COMPARED, PROMISED)}
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value for name, value in told.items()
    }


def rename(model: ModelProto, names: Mapping[str, str]) -> None:
    """Let audits follow when outputs of the model are renamed, in place."""
    for node in _audits(model) if DOMAIN in imported(model) else ():
        for attribute in node.attribute:
            if attribute.name == ANSWER_OUTPUTS:
                attribute.s = json.dumps({names.get(old, old): wire for old, wire in _outputs(node).items()}).encode()


def without(model: ModelProto) -> ModelProto:
    """A copy in which nothing is audited, or the model itself where nothing is: for whoever reads what a cascade is."""
    if DOMAIN not in imported(model) or next(_audits(model), None) is None:
        return model
    plain = copied(model)
    for graph in nested_graphs(plain.graph):
        _take_out(graph)
    return plain


def _take_out(graph: GraphProto) -> None:
    """Take the draws of a graph out, and what reads them; the verdict that an audit passes on takes its place."""
    passed: dict[str, str] = {}
    drawn: set[str] = set()
    kept: list[NodeProto] = []
    for node in graph.node:
        if node.domain == DOMAIN and node.op_type == DRAW:
            drawn.update(node.output)
        elif drawn.isdisjoint(reads(node)):
            kept.append(node)
        elif (verdict := _passed_on(node)) is not None:
            passed[node.output[0]] = passed.get(verdict, verdict)
        else:
            drawn.update(node.output)
    if drawn:
        replace(graph.node, kept)
        rename_tensors(graph, passed)


def _passed_on(node: NodeProto) -> str | None:
    """The verdict that an If passes on in both of its branches, of which one audits; None for any other node."""
    branches = attribute_graphs(node)
    if not any(_is_audit(inner) for branch in branches for inner in branch.node):
        return None
    given = {_given(branch) for branch in branches}
    return given.pop() if len(given) == 1 else None


def _given(branch: GraphProto) -> str | None:
    """The tensor that a branch passes on, by an audit or without one."""
    output = branch.output[0].name if branch.output else ""
    maker = next((node for node in branch.node if output in node.output), None)
    if maker is not None and (_is_audit(maker) or maker.op_type == "Identity"):
        return str(maker.input[-1])
    return None


def _is_audit(node: NodeProto) -> bool:
    return node.domain == DOMAIN and node.op_type == AUDIT


def _audits(model: ModelProto) -> Iterator[NodeProto]:
    return (node for node in all_nodes(model) if _is_audit(node))


def _outputs(node: NodeProto) -> dict[str, str]:
    """Output of the model -> the output of the call that it is compared with."""
    found = _read(attributes_of(node).get(ANSWER_OUTPUTS))
    return {name: wire for name, wire in found.items() if isinstance(wire, str)}


def _certificate(model: ModelProto) -> dict[str, Any]:
    return _read(next((entry.value for entry in model.metadata_props if entry.key == CERTIFICATE), None))


def _read(text: object) -> dict[str, Any]:
    return (json_object(text) if isinstance(text, (str, bytes)) else None) or {}


def _told(node: NodeProto, certificate: Mapping[str, Any], outputs: set[str]) -> dict[str, str]:
    """What the certificate says of an audit, as attributes; nothing where it speaks of other outputs."""
    share, output, answers = certificate.get("differ_high"), certificate.get("output"), _outputs(node)
    names = list(answers) if output is None else [output]
    known = bool(names) and all(isinstance(name, str) and name in answers and name in outputs for name in names)
    if not known or isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        return {}
    compared = {} if output is None else {COMPARED: json.dumps([answers[output]])}
    return {PROMISED: repr(float(share)), **compared}
