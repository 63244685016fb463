"""Rewrites the remote part of a cascade so that its outputs are complete answers.

It takes local's answers as further inputs. Its own answers replace them for the rows that were refused; for rows that
were accepted, and where a call with on_error="flag" failed, local's answers stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

from onnxhybrid.compose.build.types import Declared, by_name, weaker
from onnxhybrid.model import Model
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import GraphTree, free_name, rename_tensors, tensor_names
from onnxhybrid.model.opsets import opsets_of, set_opsets
from onnxhybrid.model.tensor_spec import TensorSpec, shape_of

_VERDICTS = TensorSpec("accepted", "bool", None).to_value_info().type


@dataclass(frozen=True)
class Escalation:
    """The rewritten remote, and the names of its further inputs.

    Attributes:
        model: the remote, changed.
        answers: output -> the input that takes local's answer for it.
        verdicts: the input that says which rows are accepted, bool[n]; None without rows=True.
    """

    model: Model
    answers: dict[str, str] = field(default_factory=dict)
    verdicts: str | None = None


def escalation(
    remote: Model,
    answers: Mapping[str, Declared],
    calls: Sequence[str],
    rows: Sequence[str] | None,
    opset: int,
    *,
    ahead: bool = False,
) -> Escalation:
    """The remote, rewritten.

    Args:
        remote: the remote, whose standard opset is `opset` if it has one.
        answers: output -> the declaration of local's answer for it.
        calls: the outputs that say whether a call succeeded; if one of them is false, local's answers stay.
        rows: the inputs of which the refused rows alone are sent; None to send all rows of all inputs.
        opset: the standard opset of the cascade.
        ahead: whether all rows are sent, before it is known which are refused.
    """
    proto = copied(remote.skeleton)
    set_opset(proto, opset)
    editor = Editor(proto.graph)
    verdicts = None if rows is None else editor.input("accepted", _VERDICTS)
    positions = editor.tensor("positions") if verdicts else None
    everyone = editor.tensor("all_positions") if verdicts and ahead else None
    if rows and positions and not ahead:
        editor.choose_rows(rows, positions)
    given = {name: editor.input(f"local/{name}", value.value.type) for name, value in answers.items()}
    declared = by_name(remote.skeleton.graph.output)
    inner = editor.free_outputs(given)
    succeeded = editor.all_of(calls)
    for name, value in answers.items():
        kind = _of_either(weaker(name, value, declared[name])).value.type
        nodes = editor.merged(name, inner[name], given[name], positions, everyone)
        editor.answer(name, kind, nodes, given[name], succeeded)
    if verdicts and positions:
        editor.find_rows(verdicts, positions, everyone)
    return Escalation(Model(proto, remote.weights), given, verdicts)


def set_opset(proto: ModelProto, opset: int) -> None:
    """Give a skeleton the standard opset `opset`, in place, if it has none."""
    set_opsets(proto, {"": opset} | opsets_of(proto.opset_import))


def _of_either(value: Declared) -> Declared:
    """The declaration without names of sizes: they may be local's."""
    if value.shape is None:
        return value
    return value.shaped(tuple(size if isinstance(size, int) else None for size in value.shape))


class Editor:
    """Edits a graph that the caller owns."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._taken = tensor_names(graph)

    def input(self, wanted: str, kind: TypeProto) -> str:
        """Add an input of any shape, called like `wanted` if that is free."""
        name = self._taken.take(wanted)
        value = self._graph.input.add(name=name, type=kind)
        if kind.WhichOneof("value") == "tensor_type":
            value.type.tensor_type.ClearField("shape")
        return name

    def tensor(self, wanted: str) -> str:
        """A name for a new tensor, `wanted` if that is free."""
        return self._taken.take(wanted)

    def find_rows(self, verdicts: str, positions: str, everyone: str | None) -> None:
        """Write the positions of the refused rows, int64[k, 1], and those of all rows, int64[n, 1]."""
        refused, found = self._taken.take("refused"), self._taken.take("refused/found")
        nodes = [
            _node("Not", [verdicts], refused),
            _node("NonZero", [refused], found),
            _node("Transpose", [found], positions),
        ]
        if everyone:
            shape, ones, all_found = (self._taken.take(name) for name in ("rows/shape", "rows/ones", "rows/found"))
            nodes += [
                _node("Shape", [verdicts], shape),
                _node("ConstantOfShape", [shape], ones, value=helper.make_tensor("one", TensorProto.INT64, [1], [1])),
                _node("NonZero", [ones], all_found),
                _node("Transpose", [all_found], everyone),
            ]
        for node in reversed(nodes):
            self._graph.node.insert(0, node)

    def choose_rows(self, inputs: Sequence[str], positions: str) -> None:
        """Let the graph read only the rows at `positions` of some inputs."""
        whole = {value.name: value for value in self._graph.input if value.name in inputs}
        declared = {name: copied(value) for name, value in whole.items()}
        inner = {name: self._taken.take(f"{name}/refused") for name in whole}
        self._part_sizes(list(declared.values()))
        rename_tensors(self._graph, inner)
        for name, value in whole.items():
            value.CopyFrom(declared[name])
        outer = {after: before for before, after in inner.items()}
        for default in self._graph.initializer:
            default.name = outer.get(default.name, default.name)
        # Gather of ONNX Runtime keeps the first string of a row only.
        nodes = [_node("GatherND", [name, positions], rows) for name, rows in inner.items()]
        for node in reversed(nodes):
            self._graph.node.insert(0, node)

    def chosen_rows(self, tensor: str, positions: str) -> str:
        """The rows at `positions` of a tensor."""
        rows = self._taken.take(f"{tensor}/drawn")
        self._graph.node.insert(0, _node("GatherND", [tensor, positions], rows))
        return rows

    def _part_sizes(self, inputs: Sequence[ValueInfoProto]) -> None:
        """Give the number of rows that are sent a name of its own: files name it as they name that of all rows."""
        shapes = [shape_of(value) for value in inputs]
        names = {shape[0] for shape in shapes if shape and isinstance(shape[0], str)}
        tree = GraphTree(self._graph)
        taken = tree.size_names()
        tree.rename_sizes({name: free_name(f"{name}/refused", taken) for name in sorted(names)})

    def free_outputs(self, names: Mapping[str, str]) -> dict[str, str]:
        """Free the names of some outputs: their tensors get others, under which they stay declared; old -> new."""
        inner = {name: self._taken.take(f"{name}/remote") for name in names}
        rename_tensors(self._graph, inner)
        kept = {value.name: value for value in self._graph.output}
        self._graph.value_info.extend(kept.pop(tensor) for tensor in inner.values())
        replace(self._graph.output, kept.values())
        return inner

    def all_of(self, flags: Sequence[str]) -> str | None:
        """The tensor that says whether all flags hold; None where there are none."""
        if not flags:
            return None
        tensor = flags[0]
        for flag in flags[1:]:
            held = self._taken.take("succeeded")
            self._graph.node.append(_node("And", [tensor, flag], held))
            tensor = held
        return tensor

    def merged(self, name: str, own: str, given: str, positions: str | None, everyone: str | None) -> list[NodeProto]:
        """The nodes that write the remote's own answer over local's; the last one gives the output."""
        if positions is None:
            return [_node("Identity", [own], name)]
        if everyone is None:
            nodes = [_node("ScatterND", [given, positions, own], name)]
        else:  # the first ScatterND fails unless the answer has as many rows as were sent
            whole, taken = self._taken.take(f"{name}/all"), self._taken.take(f"{name}/refused")
            nodes = [
                _node("ScatterND", [given, everyone, own], whole),
                _node("GatherND", [whole, positions], taken),
                _node("ScatterND", [given, positions, taken], name),
            ]
        nodes[0].name = f"[OH546] remote answered {name!r} in another shape than that of the rows it was sent"
        return nodes

    def answer(self, name: str, kind: TypeProto, nodes: list[NodeProto], given: str, succeeded: str | None) -> None:
        """Write an output by `nodes`; where a call could fail, by local's answer if it did."""
        value = self._graph.output.add(name=name, type=kind)
        if succeeded is not None:
            kept = [_node("Identity", [given], name)]
            branches = {
                key: self._branch(key, branch, value) for key, branch in (("then_branch", nodes), ("else_branch", kept))
            }
            nodes = [_node("If", [succeeded], name, **branches)]
        self._graph.node.extend(nodes)

    def _branch(self, label: str, nodes: list[NodeProto], value: ValueInfoProto) -> GraphProto:
        output = ValueInfoProto(name=self._taken.take(f"{value.name}/{label}"), type=value.type)
        nodes[-1].output[0] = output.name
        return helper.make_graph(nodes, label, [], [output])


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [output], name=output, **attributes)
