"""A remote call in two nodes, Begin and Await, in place of one, Invoke."""

from __future__ import annotations

import json
from collections.abc import Sequence

from onnx import NodeProto, TypeProto, helper

from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.messages import copied
from onnxhybrid.model.naming import Names
from onnxhybrid.model.remote_spec import AWAIT, BEGIN, DOMAIN, RemoteSpec
from onnxhybrid.model.sequential import TYPES


def halves(invoke: NodeProto, types: Sequence[TypeProto], names: Names) -> tuple[NodeProto, NodeProto]:
    """The Begin and the Await that do what an Invoke node does.

    Args:
        invoke: the node.
        types: the declared types of its outputs.
        names: where the names of the ticket and of the new node are taken from.
    """
    begin = copied(invoke)
    begin.op_type = BEGIN
    begin.name = invoke.name or next(iter(invoke.output), "")  # the name by which it is known at run time
    sent = len(RemoteSpec.of(invoke).outputs)
    begin.attribute.append(helper.make_attribute(TYPES, json.dumps([type_name(kind) for kind in types[:sent]])))
    ticket = names.tensor(f"{begin.name}/ticket")
    begin.output[:] = [ticket]
    wait = helper.make_node(AWAIT, [ticket], invoke.output, name=names.node(f"{begin.name}/await"), domain=DOMAIN)
    return begin, wait
