"""`chain`: one model's outputs are the next one's inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.part import Part, labelled, parts_of
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import mismatch
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model

_CHAIN = Combinator("chain", role="step")

Feeds = dict[str, tuple[str, str]]
"""input -> (label of the part, its output)"""


def chain(*models: Model, connect: Mapping[str, str] | None = None, keep: Iterable[str] = ()) -> Model:
    """Run models one after the other.

    Outputs are connected to inputs of later models by name. Where no name of a model fits, one output is connected to
    one input, if there is only one possible way. Outputs that nothing consumed stay outputs, and those that `keep`
    names; inputs that nothing feeds become the chain's inputs.

    Args:
        *models: two or more models, in their order.
        connect: input of a later model -> output of an earlier one, where the names differ.
        keep: consumed outputs that stay outputs all the same.

    Raises:
        ComposeError: OH201 or OH202, types or shapes differ; OH203, no way or several ways to connect; OH204, connect
            or keep names what is not there; OH210, the chain's input and output, or two outputs, have one name.
    """
    if len(models) == 1 and isinstance(models[0], Model):
        raise ComposeError("OH205", "chain takes two or more models, not 1")
    if connect is not None and not isinstance(connect, Mapping):
        raise ComposeError(
            "OH204", f"connect maps inputs to outputs, as in {{'b_input': 'a_output'}}; it is {connect!r}"
        )
    parts = parts_of(labelled(models))
    if not parts:
        raise ComposeError("OH205", "chain takes two or more models, not 0")
    plan = _plan(parts, dict(connect or {}))
    kept = _kept(parts, keep)
    consumed = {source for feeds in plan.values() for source in feeds.values() if source[1] not in kept}
    public = {(p.label, name) for p in parts for name in p.outputs} - consumed
    names = _public_outputs(parts, public)
    free = {name for part in parts for name in part.inputs if name not in plan[part.label]}
    written = public - _passed_through(parts, plan)
    assembly = Assembly(_CHAIN, parts, free, [name for _, name in sorted(written)])
    tensors: dict[tuple[str, str], str] = {}
    for part in parts:
        feeds = {name: tensors[source] for name, source in plan[part.label].items()}
        own = {name: name for name in part.outputs if (part.label, name) in written}
        outputs = assembly.add(part.label, feeds, own)
        tensors.update({(part.label, name): tensor for name, tensor in outputs.items()})
    return assembly.finish(names)


def _kept(parts: list[Part], keep: Iterable[str]) -> set[str]:
    """The outputs that stay outputs.

    Raises:
        ComposeError: OH204, no model has such an output.
    """
    names = {keep} if isinstance(keep, str) else set(keep) if isinstance(keep, Iterable) else {keep}
    offered = {name for part in parts for name in part.outputs}
    if unknown := sorted(map(repr, names - offered)):
        raise ComposeError(
            "OH204", f"keep names outputs of the models; {unknown[0]} is none of them: there are {_listed(offered)}"
        )
    return names


def _plan(parts: list[Part], connect: dict[str, str]) -> dict[str, Feeds]:
    """For each part the connections of its inputs."""
    offered: dict[str, str] = {}
    plan: dict[str, Feeds] = {}
    later = {name for part in parts[1:] for name in part.inputs}
    if unknown := sorted(set(connect) - later):
        raise ComposeError(
            "OH204",
            f"connect maps inputs of later models to outputs of earlier ones; {unknown[0]!r} is no such input: there "
            f"are {_listed(later)}",
        )
    for position, part in enumerate(parts):
        plan[part.label] = _feeds(part, offered, connect, parts[:position])
        offered.update(dict.fromkeys(part.outputs, part.label))
    return plan


def _feeds(part: Part, offered: dict[str, str], connect: dict[str, str], before: list[Part]) -> Feeds:
    feeds: Feeds = {}
    for name in part.inputs:
        output = connect.get(name, name)
        if output in offered:
            feeds[name] = (offered[output], output)
        elif name in connect and before:
            raise ComposeError(
                "OH204", f"connect maps {name!r} to the output {output!r}; earlier models have {_listed(offered)}"
            )
    return feeds or (_only_way(before[-1], part) if before else {})


def _only_way(before: Part, part: Part) -> Feeds:
    """The one pair of an output and an input that fit each other.

    Raises:
        ComposeError: OH203, there is none, or there are several.
    """
    ways = [
        (name, output)
        for name, wanted in part.inputs.items()
        for output, given in before.outputs.items()
        if mismatch(given, wanted) is None
    ]
    if len(ways) == 1:
        name, output = ways[0]
        return {name: (before.label, output)}
    gives = ", ".join(str(value) for value in before.outputs.values())
    takes = ", ".join(str(value) for value in part.inputs.values()) or "no input"
    problem = "more than one pair fits" if ways else "no pair of them fits"
    hint = f'; write connect={{"{ways[0][0]}": "{ways[0][1]}"}} or another pair' if ways else ""
    raise ComposeError("OH203", f"{before.label!r} gives {gives}, {part.label!r} takes {takes}, and {problem}{hint}")


def _passed_through(parts: list[Part], plan: dict[str, Feeds]) -> set[tuple[str, str]]:
    """The outputs that are inputs of the chain, passed on unchanged and under one name by every model on the way."""
    origins: dict[tuple[str, str], str] = {}
    for part in parts:
        for name in (name for name in part.outputs if name in part.inputs):
            source = plan[part.label].get(name)
            origin = name if source is None else origins.get(source)
            if origin is not None:
                origins[part.label, name] = origin
    return {output for output, origin in origins.items() if output[1] == origin}


def _public_outputs(parts: list[Part], public: set[tuple[str, str]]) -> list[str]:
    """The names of the chain's outputs, those of later models last.

    Raises:
        ComposeError: OH210, two of them are the same.
    """
    names = [name for part in parts for name in part.outputs if (part.label, name) in public]
    if doubled := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ComposeError(
            "OH210", f"two models of the chain give an output {doubled[0]!r} that nothing consumes; rename one of them"
        )
    return names


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "none"
