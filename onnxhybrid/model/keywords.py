"""Mistyped keyword arguments, told with the one that was meant."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from onnxhybrid.errors import ModelError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def known_keywords(*more: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """A decorator of public functions: a keyword argument that there is not is a coded error.

    Args:
        *more: arguments that the function takes by its `**`, which its signature does not name.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        kinds = inspect.signature(function).parameters
        named = [name for name, kind in kinds.items() if kind.kind is not kind.VAR_KEYWORD]

        @functools.wraps(function)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            require_known(function.__name__, kwargs, (*named, *more))
            return function(*args, **kwargs)

        return checked

    return decorate


def require_known(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Check that a function knows the arguments that it was given by name.

    Raises:
        ModelError: OH304, it does not know one.
    """
    names = list(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"
            raise ModelError("OH304", f"{function} has no argument {name!r}{hint}")
