"""`splice`: a model in the place of some nodes of another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from onnx import GraphProto, ModelProto

from onnxhybrid.compose.build.finish import finished
from onnxhybrid.compose.build.functions import told_apart
from onnxhybrid.compose.build.guard import guard
from onnxhybrid.compose.build.part import Part, take_defaults
from onnxhybrid.compose.build.seams import Seams
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import Declared, by_name, mismatch, narrowed, require, shared_sizes
from onnxhybrid.compose.cut.extract import defaults, extract
from onnxhybrid.compose.cut.named import checked_model, named_tensors
from onnxhybrid.compose.cut.wiring import Wiring, label
from onnxhybrid.compose.overlap.overlap import sequential
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.alignment import GLUE_OPSET, align, lifted
from onnxhybrid.model.graphs import nested_graphs, reads, sort_nodes
from onnxhybrid.model.inference import tensor_types
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import GraphTree, Names, Taken
from onnxhybrid.model.proof import forget, forget_sizes

_SPLICE = Combinator("splice")


def splice(
    model: Model,
    inputs: Iterable[str | TensorSpec],
    outputs: Iterable[str | TensorSpec],
    replacement: Model,
) -> Model:
    """Put a model in the place of the nodes between `inputs` and `outputs`.

    The replacement's inputs and outputs are taken by name where they are called as the tensors are; the others in
    their order, if there are as many on both sides. Inputs that it has besides become inputs of the whole, outputs
    that it has besides become outputs.

    Args:
        model: the model; it stays as it is.
        inputs: tensors of its main graph that the replacement reads.
        outputs: tensors that the replacement writes from now on.
        replacement: the model that is put in.

    Raises:
        ComposeError: OH205, one of them is no Model; OH235 or OH236, no list of tensors of the main graph; OH239, the
            replacement's inputs or outputs cannot be matched; OH201 or OH202, types or shapes differ; OH240, no
            node would be replaced; OH241, somebody else reads a removed tensor; OH242, the replacement would
            depend on its own outputs; OH243, an extra input or output has the name of another tensor.
    """
    model, replacement = checked_model(model, "the model of splice"), checked_model(replacement, "the replacement")
    sides = align([lifted(sequential(model)), lifted(replacement)])
    whole, piece = (part.model for part in told_apart([Part("model", sides[0]), Part("replacement", sides[1])]))
    types = tensor_types(whole.skeleton)
    given, replaced = named_tensors(inputs, types, "inputs"), named_tensors(outputs, types, "outputs")
    part = Part("replacement", piece)
    takes = _matched("input", given, part.inputs, defaults(piece.skeleton))
    gives = _matched("output", replaced, part.outputs)
    known = _cut(whole, {**given, **replaced})
    sources = {name: _source(known, tensor, part.inputs[name]) for name, tensor in takes.items()}
    for name, tensor in gives.items():
        _require_replaces(part, name, known, tensor)
    rest = _without(whole, list(given), list(replaced))
    _require_free(part, takes, gives, rest)
    graph = _filled(rest, part, sources, gives)
    return finished(_SPLICE, ModelProto(graph=graph), [Part("model", rest), part])


_CONVERT = "put a model that converts it between them"


@dataclass(frozen=True)
class _Source:
    """A tensor that feeds an input of the replacement.

    Attributes:
        tensor: its name.
        value: its declaration.
        fits: whether the input takes it; None where a run has to show that.
    """

    tensor: str
    value: Declared
    fits: bool | None


def _cut(model: Model, tensors: Mapping[str, Declared]) -> Part:
    """The model with these tensors as its outputs."""
    proto = copied(model.skeleton)
    replace(proto.graph.output, [value.value for value in tensors.values()])
    return Part("model", Model(proto, model.weights))


def _source(known: Part, tensor: str, wanted: Declared) -> _Source:
    """A tensor of the model as an input of the replacement reads it.

    Raises:
        ComposeError: OH201 or OH202, it does not fit.
    """
    seams = Seams()
    seams.give(known, {tensor: tensor})
    value, fits = seams.given(tensor, known.outputs[tensor], wanted)
    require(value, "the tensor", wanted, "the replacement's input", _CONVERT)
    return _Source(tensor, value, fits)


def _require_replaces(part: Part, name: str, known: Part, tensor: str) -> None:
    """An output of the replacement is of the type, and where both are sure of the shape, of the tensor it writes.

    Raises:
        ComposeError: OH201 or OH202, it is not.
    """
    given, wanted = part.outputs[name], known.outputs[tensor]
    if (problem := mismatch(given, wanted)) and problem[0] == "OH202":
        given, wanted = given.shaped(part.sure.get(name)), wanted.shaped(known.sure.get(tensor))
    require(given, "the replacement's output", wanted, "the tensor", _CONVERT)


def _matched(
    kind: str, tensors: Mapping[str, object], offered: Mapping[str, object], optional: Collection[str] = ()
) -> dict[str, str]:
    """Input or output of the replacement -> tensor: by name, the others that are not optional in their order.

    Raises:
        ComposeError: OH239, some are left and their numbers differ.
    """
    matched = {name: name for name in tensors if name in offered}
    tensors_left = [name for name in tensors if name not in matched]
    offered_left = [name for name in offered if name not in matched and name not in optional]
    if tensors_left and len(tensors_left) != len(offered_left):
        raise ComposeError(
            "OH239",
            f"the {kind}s {', '.join(map(repr, tensors_left))} have to be matched with "
            f"{', '.join(map(repr, offered_left)) or 'none'} of the replacement; rename the one that is meant, as in "
            f"replacement.rename({{{(offered_left or [kind])[0]!r}: {tensors_left[0]!r}}})",
        )
    return matched | (dict(zip(offered_left, tensors_left, strict=True)) if tensors_left else {})


def _without(model: Model, inputs: list[str], replaced: list[str]) -> Model:
    """The model without the nodes between two sets of tensors, and without what only they needed.

    Raises:
        ComposeError: OH235, there is no tensor to write; OH240, no node would go; OH241, a tensor that would go is
            read by others; OH242, one of `inputs` depends on one of `replaced`.
    """
    if not replaced:
        raise ComposeError("OH235", "outputs names no tensor; a replacement needs at least one to write")
    graph = model.skeleton.graph
    wiring = Wiring(graph)
    between = _between(wiring, graph, inputs, replaced)
    alive = wiring.behind([*(value.name for value in graph.output), *inputs], stop=replaced)
    kept = [position for position in alive if position not in between]
    gone = {name for position in between for name in graph.node[position].output} - set(replaced)
    _require_unread(graph, gone, kept)
    optional = defaults(model.skeleton)
    fed = by_name(value for value in graph.input if value.name not in optional)
    return extract(model, model.name, kept, fed, by_name(graph.output), optional | set(inputs))


def _between(wiring: Wiring, graph: GraphProto, inputs: list[str], replaced: list[str]) -> set[int]:
    """The nodes that write `replaced`, and those on the way from `inputs` to them."""
    after = wiring.ahead(replaced)
    for name in inputs:
        if name in after:
            raise ComposeError(
                "OH242",
                f"the replacement would read {name!r}, which depends on what it writes: {wiring.path(after, name)}",
            )
    reached = wiring.ahead(inputs)
    if inputs and not any(name in reached for name in replaced):
        raise ComposeError(
            "OH240",
            f"no path leads from {', '.join(map(repr, inputs))} to {', '.join(map(repr, replaced))}, so no node lies "
            "between them",
        )
    writers = {position for position, node in enumerate(graph.node) if not set(replaced).isdisjoint(node.output)}
    written = {name for position in writers for name in graph.node[position].output}
    if unwritten := [name for name in replaced if name not in written]:
        raise ComposeError(
            "OH240", f"{unwritten[0]!r} is an input or a weight; no node writes it that could be replaced"
        )
    on_the_way = wiring.behind(replaced, stop=inputs)
    return writers | {p for p in on_the_way if any(name in reached for name in graph.node[p].output)}


def _require_unread(graph: GraphProto, gone: set[str], kept: list[int]) -> None:
    """Nobody who stays reads a tensor that goes.

    Raises:
        ComposeError: OH241, naming who does.
    """
    readers = [(f"the output {value.name!r}", value.name) for value in graph.output if value.name in gone]
    for node in (graph.node[position] for position in kept):
        readers += [(label(node), name) for name in reads(node) if name in gone]
    if readers:
        who, name = readers[0]
        more = f" (and {len(readers) - 1} more)" if len(readers) > 1 else ""
        raise ComposeError(
            "OH241",
            f"the nodes between inputs and outputs write {name!r}, and {who} reads it{more}; name {name!r} in outputs "
            "too, or choose tensors that nobody else reads behind",
        )


def _require_free(part: Part, takes: Mapping[str, str], gives: Mapping[str, str], rest: Model) -> None:
    """What the replacement takes or gives besides has a name that the model does not use for something else.

    Raises:
        ComposeError: OH243, it has not.
    """
    inputs = {value.name for value in rest.skeleton.graph.input}
    taken = GraphTree(rest.skeleton.graph).tensor_names() | {*takes.values(), *gives.values()}
    extra = [("input", name) for name in part.inputs if name not in takes and name not in inputs]
    extra += [("output", name) for name in part.outputs if name not in gives]
    for kind, name in extra:
        if name in taken:
            raise ComposeError(
                "OH243",
                f"the replacement's {kind} {name!r} would be an {kind} of the whole, and the model has another tensor "
                f"of that name; add it to {kind}s if that is meant, or rename it: replacement.rename({{{name!r}: …}})",
            )


def _filled(rest: Model, part: Part, takes: Mapping[str, _Source], gives: Mapping[str, str]) -> GraphProto:
    """The graph of the model with the replacement in it."""
    graph = copied(rest.skeleton.graph)
    tensors = {name: source.tensor for name, source in takes.items()}
    extra = [name for name in part.outputs if name not in gives]
    tree = GraphTree(graph)
    forget(tree.graphs)
    names = Names(
        tensors=Taken((*tree.tensor_names(), *tensors.values(), *part.inputs, *gives.values(), *extra)),
        nodes=Taken(node.name for inner in nested_graphs(graph) for node in inner.node),
        sizes=Taken(tree.size_names()),
    )
    sizes: dict[str, str] = {}
    known = by_name(graph.input)
    for name, wanted in part.inputs.items():
        source = takes[name].value if name in takes else known.get(name)
        sizes |= shared_sizes(source, wanted) if source is not None else {}
    fed = set(tensors.values())
    opset = part.model.opsets.get("", GLUE_OPSET)
    for name, wanted in part.inputs.items():
        if name in takes and takes[name].fits is None:
            words = f"the tensor {tensors[name]!r}"
            tensors[name] = guard(graph, takes[name].value, part, wanted, words, names, opset)
    placed = part.placed(
        names,
        {name: tensors.get(name, name) for name in part.inputs},
        {name: gives.get(name, name) for name in part.outputs},
        sizes,
    )
    _join_inputs(graph, placed, {*fed, *tensors.values()})
    _join(graph, placed, extra)
    return graph


def _join_inputs(graph: GraphProto, placed: GraphProto, fed: set[str]) -> None:
    """Inputs of the replacement that nothing feeds become, or are, inputs of the whole."""
    theirs = take_defaults(placed)
    ours = take_defaults(graph)
    known = {value.name: value for value in graph.input}
    for value in placed.input:
        if value.name in fed:
            continue
        if value.name not in known:
            graph.input.append(value)
            ours |= {value.name: theirs[value.name]} if value.name in theirs else {}
            continue
        shared, wanted = Declared(known[value.name]), Declared(value)
        require(shared, "the model's input", wanted, "the replacement's input", _RENAME)
        known[value.name].CopyFrom(narrowed(shared, wanted).value)
        default, other = ours.pop(value.name, None), theirs.get(value.name)
        if default is not None and other is not None:
            if default != other:
                raise ComposeError("OH211", f"the model and the replacement have different defaults for {value.name!r}")
            ours[value.name] = default
    graph.initializer.extend(ours.values())


_RENAME = "rename one of them if they are not the same"


def _join(graph: GraphProto, placed: GraphProto, extra: list[str]) -> None:
    """Put the replacement's nodes and weights where the model's were."""
    written = {value.name for value in placed.output}
    public = {value.name for value in graph.output}
    kept = [value for value in graph.value_info if value.name not in written]
    replace(graph.value_info, [*kept, *placed.value_info])
    inner = [copied(value) for value in placed.output if value.name not in {*public, *extra}]
    forget_sizes(inner, placed)
    graph.value_info.extend(inner)
    graph.output.extend(value for value in placed.output if value.name in extra)
    graph.node.extend(placed.node)
    graph.initializer.extend(placed.initializer)
    graph.sparse_initializer.extend(placed.sparse_initializer)
    graph.quantization_annotation.extend(placed.quantization_annotation)
    sort_nodes(graph)
