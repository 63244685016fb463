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
            raise ModelError("OH304", f"{function} has no argument {name!r}{_hint(name, names)}")


_ELSEWHERE = {
    "base_url": ("url", "url="),
    "azure_endpoint": ("resource_url", "resource_url="),
    "azure_deployment": ("deployment", "deployment="),
    "max_retries": ("retries", "retries="),
    "default_headers": ("headers", "headers="),
    "extra_headers": ("headers", "headers="),
    "api_key": ("auth", "credentials={name: token} where the session opens"),
    "azure_ad_token": ("auth", 'auth=oh.Credential(name, scheme="bearer"), and the session gives the token'),
    "azure_ad_token_provider": ("auth", 'auth=oh.Credential(name, scheme="bearer"), and the session gives the token'),
}
"""What arguments of the official clients are here: the argument that has to be there, and what to write."""


def _hint(name: str, names: list[str]) -> str:
    """What to write in place of an argument that there is not."""
    argument, instead = _ELSEWHERE.get(name, ("", ""))
    if argument in names:
        return f": write {instead}"
    if near := difflib.get_close_matches(name, names, n=1):
        return f": did you mean {near[0]!r}?"
    body = f"; a field of the request's body goes into extra={{{name!r}: …}}" if "extra" in names else ""
    return f"; there are {', '.join(names)}{body}"
