"""`split`: one model cut into two, at tensors that every path crosses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import FunctionProto, ModelProto, NodeProto

from onnxhybrid.compose.build.types import Declared, by_name
from onnxhybrid.compose.cut.extract import defaults, extract, require_valid
from onnxhybrid.compose.cut.named import checked_model, named_tensors
from onnxhybrid.compose.cut.wiring import Wiring, label
from onnxhybrid.compose.overlap.overlap import sequential
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.inference import tensor_types
from onnxhybrid.model.opsets import standard
from onnxhybrid.model.remote_spec import BEGIN, DOMAIN


def split(model: Model, at: Iterable[str | TensorSpec]) -> tuple[Model, Model]:
    """Cut a model in two: `head, tail = oh.split(model, at=["features"])`, and `oh.chain(head, tail)` is the model.

    The head takes the model's inputs and gives the tensors of the cut; the tail takes these and gives the model's
    outputs. Inputs with a default go where they are read. Weights go by reference to the side that reads them, or to
    both.

    Args:
        model: the model; it stays as it is.
        at: the tensors of the cut, by name (`model.tensors()` lists them); as a TensorSpec where the type of one is
            neither declared nor can be inferred.

    Returns:
        The head and the tail.

    Raises:
        ComposeError: OH205, it is no Model; OH235 or OH236, `at` is no list of tensors of the main graph; OH237, the
            cut is none: a path from an input to an output does not cross it, or both sides need what only one of them
            can compute; OH238, the type of a tensor of the cut is not known, not as given, or
            cannot cross.
        ValidationError: the model was not valid.
    """
    model = sequential(checked_model(model, "what split takes"))
    skeleton = model.skeleton
    cut = named_tensors(at, tensor_types(skeleton), "at")
    if not cut:
        raise ComposeError("OH235", "at names no tensor; a cut needs at least one, as in at=['features']")
    wiring = Wiring(skeleton.graph)
    inputs = by_name(value for value in skeleton.graph.input if value.name not in defaults(skeleton))
    outputs = by_name(skeleton.graph.output)
    _require_clean(wiring, inputs, outputs, cut)
    first, second = wiring.behind(cut), wiring.behind(outputs, stop=cut)
    _require_repeatable(skeleton, sorted({*first} & {*second}))
    for name, value in cut.items():
        _require_type(name, value, passed_on=name in outputs)
    _require_values(skeleton, first, cut)
    tail = extract(model, "tail", second, cut, outputs)
    spare = defaults(skeleton) - {value.name for value in tail.skeleton.graph.input}
    head = extract(model, "head", first, inputs, cut, spare)
    for side in (head, tail):
        require_valid(side)
    return head, tail


def _require_clean(wiring: Wiring, inputs: Iterable[str], outputs: Iterable[str], cut: Mapping[str, Declared]) -> None:
    """Every path from an input to an output crosses the cut.

    Raises:
        ComposeError: OH237, with a path that does not.
    """
    steps = wiring.ahead(inputs, stop=cut)
    if around := [name for name in outputs if name in steps]:
        start = wiring.path(steps, around[0])
        raise ComposeError(
            "OH237",
            f"this path does not cross the cut at {', '.join(map(repr, cut))}: {start}; add a tensor of it to at, "
            "or cut elsewhere",
        )


def _require_repeatable(skeleton: ModelProto, both: list[int]) -> None:
    """Nodes that both sides need have to give the same twice, and call nobody.

    Raises:
        ComposeError: OH237, one does not.
    """
    functions = {key_of(function): function for function in skeleton.functions}
    for node in (skeleton.graph.node[position] for position in both):
        if culprit := _unrepeatable(node, functions):
            inside = "" if culprit is node else f", which holds {label(culprit)},"
            raise ComposeError(
                "OH237",
                f"both sides of the cut need what {label(node)}{inside} gives, and it would run in each of them; add "
                f"its output {node.output[0]!r} to at",
            )


_REPEATABLE_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})

_RANDOM = frozenset(
    {"Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


def _unrepeatable(node: NodeProto, functions: Mapping[Key, FunctionProto]) -> NodeProto | None:
    """The node itself, or one inside of it, that may give something else when it runs again; None if none may."""
    for inner in nodes_of([node]):
        function = functions.get(called(inner))
        if function is not None:
            if any(_unrepeatable(own, functions) for own in function.node):
                return inner
        elif standard(inner.domain) not in _REPEATABLE_DOMAINS or inner.op_type in _RANDOM:
            return inner
    return None


def _require_type(name: str, value: Declared, *, passed_on: bool) -> None:
    """What crosses has a known type; a map is no output of the whole, since no operator passes one on.

    Raises:
        ComposeError: OH238, it has not.
    """
    if passed_on and "map(" in value.dtype:
        raise ComposeError(
            "OH238",
            f"{name!r} is {value.dtype}, and no operator of the tail could give it as it is; cut before it",
        )
    if value.dtype == "undefined":
        raise ComposeError(
            "OH238",
            f"the element type of {name!r} is neither declared in the model nor can it be inferred; give it: "
            f"at=[oh.TensorSpec({name!r}, 'float32', None)]",
        )


def _require_values(skeleton: ModelProto, first: list[int], cut: Mapping[str, Declared]) -> None:
    """No ticket of a call that is under way leaves the model that began it."""
    for node in (skeleton.graph.node[position] for position in first):
        if node.domain == DOMAIN and node.op_type == BEGIN and any(name in cut for name in node.output):
            raise ComposeError(
                "OH237",
                f"{node.output[0]!r} is the ticket of a remote call that {label(node)} begins; cut before it, or at "
                "what the call gives",
            )
