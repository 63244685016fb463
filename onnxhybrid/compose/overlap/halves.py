"""A remote call in one node, or in two: Invoke, and Begin with its Await."""

from __future__ import annotations

import json
from collections.abc import Sequence

from onnx import NodeProto, TypeProto, helper

from onnxhybrid.compose.part import Names
from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.remote_spec import AWAIT, BEGIN, DOMAIN, INVOKE, RemoteSpec

TYPES = "output_types"


def is_operator(node: NodeProto, *operators: str) -> bool:
    """Whether the node is one of these operators of the remote domain."""
    return node.domain == DOMAIN and node.op_type in operators


def ticket_of(node: NodeProto) -> str:
    """The ticket that a Begin gives or an Await reads; empty for other nodes."""
    names = node.output if is_operator(node, BEGIN) else node.input if is_operator(node, AWAIT) else ()
    return names[0] if names else ""


def halves(invoke: NodeProto, types: Sequence[TypeProto], names: Names) -> tuple[NodeProto, NodeProto]:
    """The Begin and the Await that do what an Invoke node does.

    Args:
        invoke: the node.
        types: the declared types of its outputs.
        names: where the names of the ticket and of the new node are taken from.
    """
    begin = NodeProto()
    begin.CopyFrom(invoke)
    begin.op_type, begin.name = BEGIN, invoke.name or invoke.output[0]  # the name by which it is known at run time
    sent = len(RemoteSpec.of(invoke).outputs)
    begin.attribute.append(helper.make_attribute(TYPES, json.dumps([type_name(kind) for kind in types[:sent]])))
    ticket = names.tensor(f"{begin.name}/ticket")
    begin.output[:] = [ticket]
    wait = helper.make_node(AWAIT, [ticket], invoke.output, name=names.node(f"{begin.name}/await"), domain=DOMAIN)
    return begin, wait


def whole(begin: NodeProto, wait: NodeProto) -> NodeProto:
    """The Invoke node that does what a Begin and its Await do."""
    invoke = NodeProto()
    invoke.CopyFrom(begin)
    invoke.op_type = INVOKE
    del invoke.attribute[:]
    invoke.attribute.extend(attribute for attribute in begin.attribute if attribute.name != TYPES)
    invoke.output[:] = wait.output
    return invoke
