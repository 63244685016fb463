"""Graphs whose remote calls are begun and awaited, written by hand as a pass would write them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

import onnxhybrid as oh
from onnxhybrid.model.dtypes import name_of

DOMAIN = "ai.onnxhybrid"


def begin(remote: oh.Model, ticket: str, inputs: Sequence[str], name: str | None = None) -> NodeProto:
    """The Begin node of a remote Model, which is one Invoke node."""
    proto = remote.to_proto()
    node = NodeProto()
    node.CopyFrom(proto.graph.node[0])
    count = len(remote.remotes[0].outputs)
    types = [name_of(output.type.tensor_type.elem_type) for output in proto.graph.output[:count]]
    node.op_type, node.name = "Begin", name or node.name
    node.attribute.append(helper.make_attribute("output_types", json.dumps(types)))
    node.input[:], node.output[:] = inputs, [ticket]
    return node


def await_(inputs: Sequence[str], outputs: Sequence[str], name: str = "await") -> NodeProto:
    return helper.make_node("Await", inputs, outputs, name=name, domain=DOMAIN)


def cancel(inputs: Sequence[str], output: str) -> NodeProto:
    return helper.make_node("Cancel", inputs, [output], name="cancel", domain=DOMAIN)


def barrier(ticket: str, value: str, output: str) -> list[NodeProto]:
    """`output` is `value`, but not before there is a ticket: tickets are positive."""
    return [
        helper.make_node("Constant", [], [f"{output}/zero"], value_int=0),
        helper.make_node("Greater", [ticket, f"{output}/zero"], [f"{output}/begun"]),
        helper.make_node("Where", [f"{output}/begun", value, value], [output]),
    ]


def floats(name: str, *shape: int | str | None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape or None)


def ticket_value(name: str = "ticket") -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, [])


def graph(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    known: Sequence[ValueInfoProto] = (),
) -> oh.Model:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    made = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), value_info=list(known))
    model: onnx.ModelProto = helper.make_model(made, ir_version=8, opset_imports=imports)
    return oh.Model.from_proto(model)
