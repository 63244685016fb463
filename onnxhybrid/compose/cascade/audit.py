"""The audit of a cascade: some of what the judge accepts is asked of the remote as well, and compared with the answer.

A Draw gives the positions of some accepted rows. Where there are any, a branch runs what leads to the remote's call for
these rows, and an Audit in the call's place, which begins it and goes on at once. The branch passes the judge's verdict
on, which the choice between local and remote reads from it: so no edit and no optimizer can lose the audit.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import GraphProto, NodeProto, helper

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.types import Declared
from onnxhybrid.compose.cascade.escalation import Editor, set_opset
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.audits import ANSWER_OUTPUTS, ANSWERS, BY_ROW
from onnxhybrid.model.dtypes import type_name
from onnxhybrid.model.editing import prune
from onnxhybrid.model.graphs import all_nodes, value_infos
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.remote_spec import AUDIT, DOMAIN, DRAW, INVOKE, RemoteSpec, is_remote
from onnxhybrid.model.sequential import TYPES, is_operator, make_sequential
from onnxhybrid.model.tensor_spec import TensorSpec

LABEL = "audit"
"""The label of the part that audits."""


@dataclass(frozen=True)
class Auditing:
    """The part of a cascade that audits it.

    Attributes:
        model: what leads to the remote's call, and the audit in the call's place.
        share: the share of accepted rows that are drawn.
        answers: output -> the input that takes local's answer for it.
        positions: the input that takes the positions of the rows that are drawn, int64[k, 1].
        passed: the input that is passed on as the one output, `told`.
    """

    model: Model
    share: float
    answers: dict[str, str]
    positions: str
    passed: str
    told: str


def check_share(share: object) -> float:
    """The share of accepted rows that are audited.

    Raises:
        ComposeError: OH247, it is none.
    """
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 <= (found := float(share)) <= 1:
        raise ComposeError("OH247", f"audit is a share from 0 to 1, such as 0.02, not {share!r}")
    return found


def auditing(
    remote: Model, answers: Mapping[str, Declared], rows: Sequence[str] | None, opset: int, share: float
) -> Auditing:
    """The part that audits.

    Args:
        remote: the remote, whose standard opset is `opset` if it has one.
        answers: output -> the declaration of local's answer for it.
        rows: the inputs of which the rows that are drawn alone are sent; None to send all, and to count a run as one.
        opset: the standard opset of the cascade.
        share: the share of accepted rows that are drawn.

    Raises:
        ComposeError: OH246, the answers are not those of one call alone.
    """
    proto = copied(remote.skeleton)
    set_opset(proto, opset)
    make_sequential(proto.graph)
    invoke = _only_call(proto.graph, [node for node in all_nodes(proto) if is_remote(node)])
    wires = _wires(proto.graph, invoke, answers)
    declared = value_infos(proto.graph)
    types = [type_name(declared[tensor].type) for tensor in invoke.output[: len(RemoteSpec.of(invoke).outputs)]]
    editor = Editor(proto.graph)
    positions = editor.input("positions", TensorSpec("positions", "int64", None).to_value_info().type)
    if rows:
        editor.choose_rows(rows, positions)
    told, given = editor.tensor("accepted"), {}
    compared: list[str] = []
    for name in {wire: name for name, wire in reversed(wires.items())}.values():
        given[name] = editor.input(f"local/{name}", answers[name].value.type)
        compared.append(given[name] if rows is None else editor.chosen_rows(given[name], positions))
    passed = editor.input("judged", TensorSpec("judged", "bool", None).to_value_info().type)
    node = _audit(invoke, types, wires, list(given), by_row=rows is not None)
    node.input.extend([*compared, passed])
    node.output[:] = [told]
    replace(proto.graph.node, [*proto.graph.node, node])
    replace(proto.graph.output, [TensorSpec(told, "bool", None).to_value_info()])
    prune(proto.graph)
    return Auditing(Model(proto, remote.weights), share, given, positions, passed, told)


def audited(assembly: Assembly, part: Auditing | None, tensors: Mapping[str, str], verdicts: str, accepted: str) -> str:
    """Add the audit to a cascade; the tensor that says what `accepted` does, once an audit has begun.

    Args:
        assembly: the cascade.
        part: the part that audits, which is one of the assembly's under the label `LABEL`; None where nothing is.
        tensors: output of local -> its tensor.
        verdicts: the judge's verdict, a bool for each row or for all.
        accepted: whether all is accepted.
    """
    if part is None:
        return accepted
    positions = assembly.node(DRAW, [verdicts], "audit/positions", domain=DOMAIN, share=part.share)
    drawn = assembly.cast(assembly.node("Size", [positions], "audit/number"), "bool", "audit/drawn")
    feeds = {given: tensors[name] for name, given in part.answers.items()}
    known = assembly.branch(LABEL, {**feeds, part.positions: positions, part.passed: accepted})
    other = assembly.passed_on("unaudited", {part.told: accepted})
    branches = {"then_branch": known, "else_branch": other}
    for branch in branches.values():
        replace(branch.graph.output, [TensorSpec(branch.outputs[part.told].name, "bool", None).to_value_info()])
    graphs = {name: branch.graph for name, branch in branches.items()}
    return assembly.node("If", [drawn], "audit/accepted", called="audit", **graphs)


def _only_call(graph: GraphProto, calls: Sequence[NodeProto]) -> NodeProto:
    if len(calls) == 1 and any(node is calls[0] for node in graph.node) and is_operator(calls[0], INVOKE):
        return calls[0]
    if len(calls) > 1:
        listed = ", ".join(repr(node.name) for node in calls[:4])
        reason = f"remote makes {len(calls)} calls ({listed})"
    else:
        reason = f"the call {calls[0].name!r} stands inside of another node" if calls else "remote makes no call"
    raise ComposeError(
        "OH246",
        f"{reason}, and an audit repeats one call of remote's main graph, whose outputs are the answers; drop audit=, "
        "or let remote be one call",
    )


def _wires(graph: GraphProto, invoke: NodeProto, answers: Mapping[str, Declared]) -> dict[str, str]:
    """Answer -> the output of the call that gives it.

    Raises:
        ComposeError: OH246, one is computed from what the call gave, or there is none.
    """
    outputs = dict(zip(invoke.output, RemoteSpec.of(invoke).outputs, strict=False))
    makers = {name: node for node in graph.node for name in node.output}
    wires = {}
    for name in answers:
        origin, maker = name, makers.get(name)
        while maker is not None and maker.op_type == "Identity" and origin not in outputs:
            origin = maker.input[0]
            maker = makers.get(origin)
        if origin not in outputs:
            what = "an input" if maker is None else f"computed by {maker.name or maker.op_type!r}, a {maker.op_type}"
            raise ComposeError(
                "OH246",
                f"remote's output {name!r} is {what}, and nothing computes it from an answer that comes when the run "
                "is over; let the server give it, put what follows the call behind the cascade, or drop audit=",
            )
        wires[name] = outputs[origin]
    if not wires:
        raise ComposeError("OH246", "local and remote have no answer in common that could be compared; drop audit=")
    return wires


def _audit(
    invoke: NodeProto, types: Sequence[str], wires: Mapping[str, str], compared: Sequence[str], *, by_row: bool
) -> NodeProto:
    """The audit in the place of a call, without what it compares."""
    node = copied(invoke)
    node.op_type = AUDIT
    node.name = invoke.name or invoke.output[0]  # the name by which it is known at run time
    own = {
        TYPES: json.dumps(list(types)),
        ANSWERS: json.dumps([wires[name] for name in compared]),
        ANSWER_OUTPUTS: json.dumps(dict(wires)),
        BY_ROW: int(by_row),
    }
    # Its failures are counted and told to nobody, so that it has no flags.
    kept = [attribute for attribute in node.attribute if attribute.name != "on_error"]
    replace(node.attribute, [*kept, *(helper.make_attribute(name, value) for name, value in own.items())])
    return node
