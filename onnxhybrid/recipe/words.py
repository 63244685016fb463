"""The words of a recipe: the functions of onnxhybrid that give a Model, by the names that Python has for them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from onnxhybrid import remote
from onnxhybrid.compose import (
    cascade,
    chain,
    ensemble,
    fallback,
    judge,
    offload,
    overlap,
    parallel,
    route,
    splice,
    split,
    switch,
)
from onnxhybrid.compose.judge.logic import combined, negated
from onnxhybrid.errors import ComposeError
from onnxhybrid.legacy import export, upgrade
from onnxhybrid.model import Model, load
from onnxhybrid.recipe import docstrings
from onnxhybrid.remote.invoke import CallSettings

METHODS = (
    "rename", "bind", "select", "prefix", "expose", "cast", "declare", "expand_dims", "retarget", "with_metadata",
)  # fmt: skip
"""The methods of a Model that give one; in a recipe `model` says of which."""

COMPARISONS = (">=", ">", "<=", "<")


@dataclass(frozen=True)
class Argument:
    """An argument of a word.

    Attributes:
        kind: its annotation.
        required: whether it has to be given.
        default: what holds where it is not given, as far as YAML can say it.
        text: what the function says of it.
    """

    kind: Any
    required: bool
    default: Any = None
    text: str | None = None


@dataclass(frozen=True)
class Word:
    """One word.

    Attributes:
        name: the word.
        arguments: what stands below it, by name.
        make: makes the Model (or the score) of the arguments that are given, by name.
        text: what the function says of itself.
        score: whether it gives a score, which a comparison makes a judge.
        bare: the argument that is meant where something else than a mapping of arguments stands below it.
        names: whether what stands below it are names of the author's own -> values of `arguments[""]`.
    """

    name: str
    arguments: Mapping[str, Argument]
    make: Callable[..., Any]
    text: str = ""
    score: bool = False
    bare: str | None = None
    names: bool = False


def arguments_of(function: Callable[..., Any], skipped: tuple[str, ...] = ()) -> dict[str, Argument]:
    """The arguments of a function, those that it takes by `**common` included, with their annotations."""
    hints, texts = typing.get_type_hints(function), docstrings.told(function)[1]
    found: dict[str, Argument] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in skipped:
            continue
        kind = hints.get(name, Any)
        if parameter.kind is parameter.VAR_KEYWORD and name == "common":
            found.update({key: Argument(hint, False) for key, hint in settings().items()})
        elif parameter.kind is parameter.VAR_KEYWORD:
            found[name] = Argument(Mapping[str, kind], True, None, texts.get(name))  # type: ignore[valid-type]
        elif parameter.kind is parameter.VAR_POSITIONAL:
            found[name] = Argument(list[kind], True, None, texts.get(name))  # type: ignore[valid-type]
        else:
            default = parameter.default
            shown = default if isinstance(default, (bool, int, float, str)) else None
            found[name] = Argument(kind, default is parameter.empty, shown, texts.get(name))
    return found


def settings() -> dict[str, Any]:
    """What every remote call can be given, with the annotations."""
    hints = typing.get_type_hints(CallSettings)
    return {each.name: hints[each.name] for each in fields(CallSettings)}


def _plain(name: str, function: Callable[..., Any], make: Callable[..., Any] | None = None) -> Word:
    arguments = arguments_of(function)
    required = [key for key, argument in arguments.items() if argument.required]
    first = next(iter(arguments), None)
    bare = first if required in ([], [first]) else None
    score = typing.get_type_hints(function).get("return") is not Model and name.startswith("judge.")
    return Word(name, MappingProxyType(arguments), make or function, docstrings.told(function)[0], score, bare)


def _method(name: str) -> Word:
    method = getattr(Model, name)
    arguments = {"model": Argument(Model, True), **arguments_of(method, ("self",))}

    def make(model: Model, **given: Any) -> Any:
        values = given.pop("values", {})  # of bind, whose inputs have names of the author's own
        return getattr(model, name)(**given, **values)

    return Word(name, MappingProxyType(arguments), make, docstrings.told(method)[0])


def _half(name: str, place: int) -> Word:
    def make(**given: Any) -> Model:
        return split(**given)[place]

    return _plain(f"split.{name}", split, make)


def _chain(models: list[Model], **given: Any) -> Model:
    return chain(*models, **given)


def _offload(to: Model, **given: Any) -> Model:
    return offload(**given, to=lambda tail: to)


def _logic(name: str, operator: str) -> Word:
    def make(judges: list[Model]) -> Model:
        if len(judges) < 2:
            raise ComposeError("OH208", f"{name} takes two or more judges, not {len(judges)}")
        result, *others = judges
        for other in others:
            result = combined(operator, result, other)
        return result

    arguments = {"judges": Argument(list[Model], True)}
    return Word(name, MappingProxyType(arguments), make, _LOGIC[name], bare="judges")


_LOGIC = {
    "&": "The judge that holds where each of these does.",
    "|": "The judge that holds where at least one of these does.",
    "~": "The judge that accepts what this one refuses; what cannot be judged is refused by both.",
}


def _parallel() -> Word:
    models = MappingProxyType({"": Argument(Model, True)})
    return Word("parallel", models, parallel, docstrings.told(parallel)[0], names=True)


def words(read: Callable[[str], Model] = load) -> dict[str, Word]:
    """All words.

    Args:
        read: loads a model of a path as it stands in the recipe.
    """
    builders = (name for name in remote.__all__ if inspect.isfunction(getattr(remote, name)))
    listed = (
        _plain("load", load, read),
        *(_plain(f"remote.{name}", getattr(remote, name)) for name in builders),
        _plain("chain", chain, _chain),
        _parallel(),
        *(_plain(f.__name__, f) for f in (switch, route, cascade, fallback, ensemble, splice, overlap)),
        _plain("offload", offload, _offload),
        _half("head", 0),
        _half("tail", 1),
        *map(_method, METHODS),
        *(_plain(f"judge.{name}", getattr(judge, name)) for name in judge.__all__),
        _logic("&", "And"),
        _logic("|", "Or"),
        Word("~", MappingProxyType({"judge": Argument(Model, True)}), negated, _LOGIC["~"], bare="judge"),
        _plain("legacy.upgrade", upgrade),
        _plain("legacy.export", export),
    )
    return {word.name: word for word in listed if all(_is_sayable(each.kind) for each in word.arguments.values())}


def _is_sayable(kind: Any) -> bool:
    """Whether YAML can hold values of a kind: an object of which only the methods are known, as a fit is, it cannot.

    A judge that was made of one is saved as a file, and loaded.
    """
    return not getattr(kind, "_is_protocol", False)
