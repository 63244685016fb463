"""`export`: models with `Invoke` become models with the old operators, for devices that still carry the old library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from onnx import GraphProto, NodeProto, ValueInfoProto, helper, numpy_helper

from onnxhybrid.compose.overlap.overlap import sequential
from onnxhybrid.diagnostics import Report
from onnxhybrid.errors import ModelError, ValidationError
from onnxhybrid.legacy.calls import Field, OldCall, old_call, refused
from onnxhybrid.legacy.operators import TRITON_DTYPES, needs_model, wire_name
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.certificate import drop_certificate
from onnxhybrid.model.check import check
from onnxhybrid.model.graphs import all_nodes, attribute_graphs, nested_graphs
from onnxhybrid.model.inlining import without_functions
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import Taken, rename_tensors, tensor_names
from onnxhybrid.model.old_operators import DOMAIN as OLD_DOMAIN
from onnxhybrid.model.old_operators import TOKEN, TRITON, is_old
from onnxhybrid.model.opsets import opsets_of, set_opsets
from onnxhybrid.model.remote_spec import DOMAIN

_OPSET, _SEQUENCES = 17, 11


def export(model: Model) -> Model:
    """The model with each `Invoke` replaced by the old operator that sends the same request.

    It runs where onnxruntime-extensions 0.9 to 0.14 is registered, with the inputs and outputs that the model has;
    calls that overlap others wait for each other there.
    Their limits hold there: a status other than 200 is not noticed, nothing is repeated, a Triton call has no
    deadline, and an option that is an empty text is sent as such.

    Args:
        model: a Model whose remote nodes take one token as an input, or need none: `oh.remote.triton` over HTTP,
            `oh.remote.openai_audio` with a constant response_format of text, srt, vtt or verbose_json,
            `oh.remote.azure_openai_chat` with raw=True, and what `oh.legacy.upgrade` gave.

    Returns:
        The new Model; `model` itself where it has no remote node.

    Raises:
        ComposeError: OH205, it is no Model.
        ModelError: OH403, a remote node does what the old operators cannot do, such as credentials, flags, gRPC or
            float16; the message says which node, and what to do.
    """
    needs_model(model)
    if not any(node.domain == DOMAIN for node in all_nodes(model.skeleton)):
        return model
    proto = copied(sequential(model).skeleton)
    drop_certificate(proto)
    try:
        proto = without_functions(proto, lambda node: node.domain == DOMAIN)
    except ValueError as problem:
        raise ModelError("OH403", f"a function that calls out cannot be inlined: {problem}") from None
    opsets = opsets_of(proto.opset_import)
    _Writer(proto.graph, opsets.setdefault("", _OPSET)).write()
    opsets.pop(DOMAIN, None)
    set_opsets(proto, {**opsets, OLD_DOMAIN: 1})
    report = Report.of(check(proto))
    if not report:
        raise ValidationError(report, context="the exported model is not valid")
    return Model(proto, model.weights)


class _Writer:
    """Writes the old operators into one graph. What they send is called like the tensors, so names are moved first."""

    def __init__(self, main: GraphProto, opset: int) -> None:
        self._main = main
        self._opset = opset
        self._calls: dict[str, OldCall] = {}
        self._inputs = {value.name for value in main.input}
        self._given = self._inputs | {tensor.name for tensor in main.initializer}
        # An output that an If gives does not exist yet where its branches run.
        chosen = {name for node in main.node if any(attribute_graphs(node)) for name in node.output}
        self._fixed = self._given | {value.name for value in main.output} - chosen
        self._public = self._inputs | {value.name for value in main.output}
        self._taken = tensor_names(main)

    def write(self) -> None:
        """Replace every remote node, in branches too."""
        _tell_apart(_remote_nodes(self._main))
        self._clear_names()
        self._calls = self._read()
        self._write_graph(self._main, {}, frozenset())
        self._name_token()

    def _read(self) -> dict[str, OldCall]:
        return {node.name: old_call(node) for node in _remote_nodes(self._main)}

    def _clear_names(self) -> None:
        """Move inner tensors away from the names that the old operators' tensors have to have."""
        wanted = {wire for call in self._read().values() for wire, _ in call.outputs if wire} | {TOKEN}
        moved = {name: self._free(f"{name}/inner") for name in sorted(wanted & self._taken - self._public)}
        rename_tensors(self._main, moved)

    def _write_graph(
        self, graph: GraphProto, outer: Mapping[str, ValueInfoProto], claimed: frozenset[str]
    ) -> frozenset[str]:
        """Replace the remote nodes of a graph and of those inside it.

        Args:
            graph: the graph.
            outer: what the graphs around it declare.
            claimed: the outputs' wire names that the graphs around it have taken so far.

        Returns:
            These and its own.
        """
        values = {**outer, **{v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}}
        nodes: list[NodeProto] = []
        for node in graph.node:
            if node.domain == DOMAIN:
                claimed = self._claim(node, claimed)
                nodes += self._old_nodes(node, graph, values)
                continue
            inner = [self._write_graph(inner, values, claimed) for inner in attribute_graphs(node)]
            claimed = claimed.union(*inner)
            nodes.append(node)
        replace(graph.node, nodes)
        return claimed

    def _claim(self, node: NodeProto, claimed: frozenset[str]) -> frozenset[str]:
        for wire, tensor in self._calls[node.name].outputs:
            if wire in claimed or (wire != tensor and wire in self._fixed):
                raise refused(
                    node,
                    f"its output has to be a tensor called {wire!r}, as on the wire, and another tensor is called so; "
                    "rename that one, or select outputs",
                )
            claimed |= {wire} - {""}
        return claimed

    def _old_nodes(self, node: NodeProto, graph: GraphProto, values: Mapping[str, ValueInfoProto]) -> list[NodeProto]:
        call = self._calls[node.name]
        _check_types(node, call, values)
        before: list[NodeProto] = []
        after: list[NodeProto] = []
        inputs = [TOKEN, *(self._field(field, node, values, before) for field in call.fields)]
        outputs = [self._output(pair, node, graph, values, after) for pair in call.outputs]
        written = helper.make_node(call.operator, inputs, outputs, node.name, domain=OLD_DOMAIN, **call.attributes)
        written.doc_string = node.doc_string
        return [*before, written, *after]

    def _field(
        self, field: Field, node: NodeProto, values: Mapping[str, ValueInfoProto], before: list[NodeProto]
    ) -> str:
        """The tensor of an input, under a name that ends in its wire name."""
        if field.tensor in self._given and wire_name(field.tensor) == field.wire:
            return field.tensor
        name = self._free(node.name, field.wire)
        if field.tensor:
            before += self._named(field.tensor, name, node, values.get(field.tensor))
        else:
            self._constant(name, field.constant)
        return name

    def _output(
        self,
        pair: tuple[str, str],
        node: NodeProto,
        graph: GraphProto,
        values: Mapping[str, ValueInfoProto],
        after: list[NodeProto],
    ) -> str:
        """The tensor that the operator writes, called as on the wire; what reads it goes on reading the other."""
        wire, tensor = pair
        if not wire or (tensor == wire and any(value.name == wire for value in graph.output)):
            return tensor
        if tensor not in values:
            raise refused(node, f"its output {wire!r} has no name in the graph, or no declared type")
        declared = ValueInfoProto(name=wire)
        declared.type.CopyFrom(values[tensor].type)
        graph.value_info.append(declared)
        after += self._named(wire, tensor, node, values[tensor])
        return wire

    def _named(self, source: str, name: str, node: NodeProto, value: ValueInfoProto | None) -> list[NodeProto]:
        """Nodes that give a tensor another name, and that no optimizer takes for nothing, as it does Identity."""
        if value is not None and TensorSpec.of(value).shape:
            return [helper.make_node("Concat", [source], [name], f"{node.name}/{name}", axis=0)]
        if self._opset < _SEQUENCES:
            raise refused(node, f"{source!r} has no known rank, so that naming it needs opset {_SEQUENCES}")
        zero, listed = "legacy/zero", self._free(f"{name}/listed")
        if zero not in self._taken:
            self._taken.add(zero)
            self._main.initializer.append(numpy_helper.from_array(np.array(0, np.int64), zero))
        return [
            helper.make_node("SequenceConstruct", [source], [listed], f"{node.name}/{listed}"),
            helper.make_node("SequenceAt", [listed, zero], [name], f"{node.name}/{name}"),
        ]

    def _name_token(self) -> None:
        """Let the one token of the model be called as the old operators want it."""
        tokens = {call.token: name for name, call in self._calls.items()}
        if not tokens:
            return
        nodes = {node.name: node for node in _old_nodes(self._main)}
        if len(tokens) > 1:
            given = ", ".join(f"{name!r} takes {token!r}" for token, name in sorted(tokens.items()))
            raise refused(nodes[next(iter(tokens.values()))], f"a model has one token there, called {TOKEN}: {given}")
        (token, name), *_ = tokens.items()
        if token == TOKEN:
            return
        if TOKEN in self._public:
            raise refused(nodes[name], f"{TOKEN!r} is another tensor of the model; rename it")
        if not token:
            self._constant(TOKEN, "")
            return
        if token not in self._inputs:
            raise refused(nodes[name], f"its token {token!r} is no input of the model")
        value = next(value for value in self._main.input if value.name == token)
        replace(self._main.node, [*self._named(token, TOKEN, nodes[name], value), *self._main.node])

    def _constant(self, name: str, text: str) -> None:
        self._main.initializer.append(numpy_helper.from_array(np.array([text], object), name))

    def _free(self, prefix: str, wire: str = "") -> str:
        """A free name; with a wire name, one that ends in it."""
        number, name = 0, f"{prefix}/{wire}" if wire else prefix
        while name in self._taken:
            number += 1
            name = f"{prefix}_{number}/{wire}" if wire else f"{prefix}_{number}"
        self._taken.add(name)
        return name


def _remote_nodes(main: GraphProto) -> Iterator[NodeProto]:
    return (node for graph in nested_graphs(main) for node in graph.node if node.domain == DOMAIN)


def _old_nodes(main: GraphProto) -> Iterator[NodeProto]:
    return (node for graph in nested_graphs(main) for node in graph.node if is_old(node))


def _tell_apart(nodes: Iterable[NodeProto]) -> None:
    """Give each node a name of its own."""
    names = Taken()
    for node in nodes:
        node.name = names.take(node.name or node.op_type)


def _check_types(node: NodeProto, call: OldCall, values: Mapping[str, ValueInfoProto]) -> None:
    """Refuse what AzureTritonInvoker does not carry; of a tensor without a declaration the device will say."""
    if call.operator != TRITON:
        return
    for tensor in (*(field.tensor for field in call.fields), *(tensor for _, tensor in call.outputs)):
        if tensor in values and (dtype := TensorSpec.of(values[tensor]).dtype) not in TRITON_DTYPES:
            raise refused(node, f"{tensor!r} is {dtype}, and they carry {', '.join(sorted(TRITON_DTYPES))}; cast it")
