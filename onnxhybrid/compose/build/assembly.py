"""Puts the parts of a composition into one graph; every combinator builds with it, and ends in its `finish`.

An Assembly exists within one call of a combinator. The names of the composition's inputs and outputs are reserved
first: an inner tensor of a part that has one of them is renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from onnxhybrid.compose.build.finish import finished
from onnxhybrid.compose.build.functions import told_apart
from onnxhybrid.compose.build.guard import guard
from onnxhybrid.compose.build.opsets import aligned
from onnxhybrid.compose.build.part import Part, take_defaults
from onnxhybrid.compose.build.seams import Seams
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import Declared, by_name, narrowed, require, shared_sizes
from onnxhybrid.diagnostics import Finding, Report
from onnxhybrid.errors import ComposeError, ValidationError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.alignment import GLUE_OPSET, newest
from onnxhybrid.model.dtypes import elem_type
from onnxhybrid.model.graphs import depth
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import Names, Taken
from onnxhybrid.model.proof import forget_sizes
from onnxhybrid.model.remote_spec import gives_results
from onnxhybrid.model.storage.weights import same_values


@dataclass(frozen=True)
class Branch:
    """A graph for an If node's branch, and the declarations of its outputs by their public names."""

    graph: GraphProto
    outputs: dict[str, Declared]


@dataclass(frozen=True)
class Choice:
    """An If node of the main graph: its position among the nodes, and its branches, where changes take effect."""

    position: int
    then: GraphProto
    else_: GraphProto


@dataclass
class InputSlot:
    """An input of the composition: what it is when left out, and which part asked for it first."""

    default: TensorProto | None
    label: str


class Assembly:
    """The graph of a composition that is being built."""

    def __init__(
        self, combinator: Combinator, parts: Sequence[Part], inputs: Iterable[str], outputs: Iterable[str]
    ) -> None:
        """Align the parts, and reserve the names of the composition's inputs and outputs.

        Args:
            combinator: the way in which the parts are composed.
            parts: all parts that will be used.
            inputs, outputs: the names to reserve.

        Raises:
            ComposeError: OH102, the opsets cannot be aligned; OH210, an input and an output have one name.
            ModelError: OH107, a weight inside of a function that two parts have cannot be read.
        """
        public = set(inputs)
        check_sides(parts, public, outputs)
        models = aligned(combinator, parts, outputs)
        self._combinator = combinator
        placed = told_apart([part.of(model) for part, model in zip(parts, models, strict=True)])
        self._parts = {part.label: part for part in placed}
        self._names = Names(tensors=Taken(public | set(outputs)))
        self._model = ModelProto()
        self._graph = self._model.graph
        self._graph.name = combinator.name
        self._inputs: dict[str, InputSlot] = {}
        self._values: dict[str, Declared] = {}
        self._seams = Seams()
        self._opset = newest(model.opsets for model in models).get("", GLUE_OPSET)

    def add(self, label: str, feeds: Mapping[str, str], public: Mapping[str, str]) -> dict[str, str]:
        """Place a part in the main graph.

        Args:
            label: the part's label.
            feeds: input -> tensor of the graph, for the inputs that are fed; the others become the graph's inputs.
            public: output -> public name, for the outputs that leave the composition.

        Returns:
            output -> tensor of the graph.
        """
        part = self._parts[label]
        outputs = {name: public[name] if name in public else self._inner(part, name) for name in part.outputs}
        graph = self._placed(part, feeds, outputs)
        self._values.update(by_name(graph.output))
        self._seams.give(part, outputs)
        # No names clash by now, so merging the graphs is appending the fields of one to those of the other.
        inner, declared = {value.name for value in graph.value_info}, map(copied, graph.output)
        own = [value for value in declared if value.name not in inner]
        forget_sizes(own, graph)
        graph.value_info.extend(own)
        for field in ("input", "output", "name", "doc_string", "metadata_props"):
            graph.ClearField(field)
        self._graph.MergeFrom(graph)
        return outputs

    def branch(self, label: str, feeds: Mapping[str, str]) -> Branch:
        """Place a part in a graph for an If node.

        Its weights go to the main graph, where ONNX Runtime keeps them once.
        """
        part = self._parts[label]
        outputs = {name: self._names.tensor(f"{label}/{name}") for name in part.outputs}
        graph = self._placed(part, feeds, outputs)
        for hoisted, own in (
            (self._graph.initializer, graph.initializer),
            (self._graph.sparse_initializer, graph.sparse_initializer),
        ):
            hoisted.extend(own)
            del own[:]
        del graph.input[:]
        graph.name = graph.name or label  # ONNX Runtime wants one inside of nodes, and none of a whole model
        return Branch(graph, dict(zip(outputs, map(Declared, graph.output), strict=True)))

    def passed_on(self, label: str, tensors: Mapping[str, str]) -> Branch:
        """A branch that gives tensors of the main graph as its outputs: output -> tensor."""
        graph, outputs = GraphProto(name=label), {}
        for name, tensor in tensors.items():
            value = self._values[tensor].called(self._names.tensor(f"{label}/{name}/passed"))
            graph.node.append(helper.make_node("Identity", [tensor], [value.name], name=self._names.node(value.name)))
            outputs[name] = value
        return Branch(graph, outputs)

    def condition(self, name: str) -> str:
        """The bool input `name`; it is declared, as a scalar, if no part has it.

        Raises:
            ComposeError: OH207, a part takes it as another type.
        """
        if name not in self._inputs:
            self._names.tensors.add(name)
            self._open(Declared(TensorSpec(name, "bool", ()).to_value_info()), InputSlot(None, "condition"))
        if (spec := self.spec(name)).dtype != "bool":
            raise ComposeError("OH207", f"the condition is no bool: {spec}")
        return name

    def node(
        self, operator: str, inputs: Sequence[str], output: str, *, called: str | None = None, **attributes: Any
    ) -> str:
        """Add a node of the standard domain with one output, called like `output` if that is free; the output."""
        name = self._names.tensor(output)
        label = self._names.node(called or output)
        self._graph.node.append(helper.make_node(operator, inputs, [name], name=label, **attributes))
        return name

    def constant(self, value: TensorProto, wanted: str) -> str:
        """Add a constant, called like `wanted` if that is free; its name."""
        name = self._names.tensor(wanted)
        self._graph.initializer.add().CopyFrom(value)
        self._graph.initializer[-1].name = name
        self._values[name] = Declared(helper.make_tensor_value_info(name, value.data_type, list(value.dims)))
        return name

    def publish(self, operator: str, tensor: str, spec: TensorSpec, **attributes: Any) -> None:
        """Write a public output, whose name is reserved, by a node that reads one tensor."""
        label = self._names.node(f"{self._combinator.name}/{spec.name}")
        self._graph.node.append(helper.make_node(operator, [tensor], [spec.name], name=label, **attributes))
        self._values[spec.name] = Declared(spec.to_value_info())

    def cast(self, tensor: str, dtype: str, output: str) -> str:
        """The tensor as another dtype, in a tensor called like `output`; itself where it has that dtype."""
        known = self._values.get(tensor)
        if known is not None and known.dtype == dtype:
            return tensor
        name = self.node("Cast", [tensor], output, to=elem_type(dtype))
        shape = None if known is None else known.shape
        self._seams.same(name, tensor)
        self._values[name] = Declared(TensorSpec(name, dtype, shape).to_value_info())
        return name

    def choose(self, condition: str, then: Branch, else_: Branch, outputs: Sequence[Declared]) -> Choice | None:
        """Add an If node that writes public outputs: `then` where the condition holds, `else_` where it does not.

        None is added where there are no such outputs.

        Raises:
            ComposeError: OH245, branches would be nested too deeply.
        """
        if not outputs:
            return None
        names = [value.name for value in outputs]
        self._graph.node.append(self._if(condition, then, else_, names, names))
        self._values.update({value.name: value for value in outputs})
        graphs = {attribute.name: attribute.g for attribute in self._graph.node[-1].attribute}
        return Choice(len(self._graph.node) - 1, graphs["then_branch"], graphs["else_branch"])

    def either(self, condition: str, then: Branch, else_: Branch, outputs: Sequence[Declared]) -> Branch:
        """A branch that chooses between two others, as `choose` does in the main graph."""
        kind = self._combinator.name
        inner = {value.name: value.called(self._names.tensor(f"{kind}/{value.name}")) for value in outputs}
        node = self._if(condition, then, else_, list(inner), [value.name for value in inner.values()])
        return Branch(helper.make_graph([node], kind, [], []), inner)

    def _if(
        self, condition: str, then: Branch, else_: Branch, outputs: Sequence[str], tensors: Sequence[str]
    ) -> NodeProto:
        for branch in (then, else_):
            _check_depth(branch.graph)
            replace(branch.graph.output, [branch.outputs[name].value for name in outputs])
            forget_sizes(branch.graph.output, branch.graph)
        name = self._names.node(self._combinator.name)
        return helper.make_node("If", [condition], tensors, name=name, then_branch=then.graph, else_branch=else_.graph)

    def spec(self, tensor: str) -> TensorSpec:
        """The description of an input of the composition, or of a part's output in the main graph."""
        return self._values[tensor].spec

    def finish(self, outputs: Sequence[str], *, last: Callable[[ModelProto], None] | None = None) -> Model:
        """The composition as a Model, checked.

        Args:
            outputs: the public outputs, in order.
            last: a last change, of the checked composition, before its calls overlap.

        Raises:
            ValidationError: a part was not valid.
        """
        for name, slot in self._inputs.items():
            self._graph.input.append(self._values[name].value)
            if slot.default is not None:
                self._graph.initializer.append(slot.default)
        self._graph.output.extend(self._seams.published(self._values[name]).value for name in outputs)
        answers = [name for node in self._graph.node if gives_results(node) for name in node.output]
        self._graph.value_info.extend(self._values[name].value for name in answers if name in self._values)
        return finished(self._combinator, self._model, list(self._parts.values()), last)

    def _placed(self, part: Part, feeds: Mapping[str, str], outputs: Mapping[str, str]) -> GraphProto:
        """The part's graph under its new names; its inputs that are fed are tensors of the composition."""
        sizes: dict[str, str] = {}
        tensors = {name: feeds.get(name, name) for name in part.inputs}
        for name, wanted in part.inputs.items():
            if given := self._values.get(tensors[name]):
                tensors[name] = self._fitting(tensors[name], part, wanted)
                for theirs, ours in shared_sizes(given, wanted).items():
                    sizes.setdefault(theirs, ours)
        graph = part.placed(self._names, tensors, outputs, sizes)
        defaults = take_defaults(graph)
        if len(part.inputs) < len(graph.input):
            flaw = Finding("OH104", f"the part {part.label!r} has two inputs of one name", "the graph")
            raise ValidationError(Report.of([flaw]))
        for name, value in zip(part.inputs, graph.input, strict=True):
            if name not in feeds:
                self._share(Declared(value).called(name), defaults.get(value.name), part.label)
        return graph

    def _share(self, value: Declared, default: TensorProto | None, label: str) -> None:
        """Let a part read an input of the composition, which is opened if it is the first to ask.

        The input may be left out only if every part that reads it says so.

        Raises:
            ComposeError: OH211, two parts have different defaults for it.
        """
        name = value.name
        if default is not None:
            default.name = name
        slot = self._inputs.get(name)
        if slot is None:
            self._open(value, InputSlot(default, label))
            return
        self._values[name] = narrowed(self._values[name], value)
        if slot.default is not None and default is not None and not self._same(slot, default, label):
            raise ComposeError(
                "OH211",
                f"the parts {slot.label!r} and {label!r} share the input {name!r} and have different defaults for it; "
                "rename it in one of them",
            )
        slot.default = slot.default if default is not None else None

    def _same(self, slot: InputSlot, default: TensorProto, label: str) -> bool:
        weights = {**self._parts[slot.label].model.weights, **self._parts[label].model.weights}
        return slot.default is not None and same_values(slot.default, default, weights)

    def _open(self, value: Declared, slot: InputSlot) -> None:
        self._inputs[value.name] = slot
        self._values[value.name] = value

    def _fitting(self, tensor: str, part: Part, wanted: Declared) -> str:
        """The tensor as an input reads it: itself, or what a guard gives where a run has to show that it fits.

        Raises:
            ComposeError: OH201 or OH202, it is sure not to fit.
        """
        given, fits = self._seams.given(tensor, self._values[tensor], wanted)
        self._check(part, given, wanted)
        if fits is not None:
            return tensor
        source = self._seams.describe(tensor)
        return guard(self._graph, given, part, wanted, source, self._names, self._opset)

    def _check(self, part: Part, given: Declared, wanted: Declared) -> None:
        slot = self._inputs.get(given.name)
        source = f"the input of part {slot.label!r}," if slot else "the tensor"
        hint = "rename one of them if they are not the same" if slot else "put a model that converts it between them"
        require(given, source, wanted, f"the input of part {part.label!r},", hint)

    def _inner(self, part: Part, output: str) -> str:
        return self._names.tensor(output if output not in self._names.tensors else f"{part.label}/{output}")


_MOST_LEVELS = 30
"""How deep branches can be nested: each level is three protobuf messages, and a file may nest 100."""


def _check_depth(branch: GraphProto) -> None:
    if (levels := depth(branch)) > _MOST_LEVELS:
        raise ComposeError(
            "OH245",
            f"{levels} branches would lie inside each other, and no program reads a file with more than "
            f"{_MOST_LEVELS}; choose between all models at once with oh.route, or in the shape of a tree",
        )


def check_sides(parts: Iterable[Part], inputs: Collection[str], outputs: Iterable[str]) -> None:
    """Check that no name is that of an input and of an output of a composition.

    Raises:
        ComposeError: OH210, one is.
    """
    name = next((name for name in outputs if name in inputs), None)
    if name is None:
        return
    hint = "rename one of them in its part"
    for part in parts:
        if name in part.inputs and name in part.outputs:
            hint = f"{part.label!r} gives its input back as it is: drop that output with select"
    raise ComposeError("OH210", f"{name!r} would be an input and an output; {hint}")
