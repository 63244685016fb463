"""What a session is given for the names of endpoints, checked before it opens."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from onnxhybrid.errors import RemoteError
from onnxhybrid.model.check import endpoint_problem
from onnxhybrid.model.remote_spec import RemoteSpec, is_endpoint_name
from onnxhybrid.model.texts import is_name
from onnxhybrid.remote.own_paths import own_path_problem

Endpoints = Mapping[str, str | Sequence[str]]
"""URLs by the name of an endpoint: one, or several that are tried in turn."""


def listed(given: object) -> dict[str, list[str]]:
    """The URLs by name, as the operator library reads them.

    Raises:
        RemoteError: OH576, it is no mapping of names to URLs.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _unusable(f"endpoints is a mapping of names to URLs, not a {type(given).__name__}")
    for name in given:
        if not is_endpoint_name(name):
            elsewhere = "; Model.retarget moves calls whose URL is in the file" if "://" in str(name) else ""
            raise _unusable(
                "endpoints maps names to URLs; a name has 1 to 64 letters, digits, '_', '-' and '.', and is not 'token'"
                + elsewhere
            )
    return {name: _urls(name, urls) for name, urls in given.items()}


def require_fitting(calls: Iterable[RemoteSpec], given: Mapping[str, Sequence[str]]) -> None:
    """Check that each name is one of the model's, and its URLs those of the protocol that is spoken there.

    Raises:
        RemoteError: OH575, no call has an endpoint of a name that is given; OH576, a URL is none for its call.
    """
    named = [call for call in calls if call.endpoint_name]
    names = {call.endpoint_name for call in named}
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            what = f"did you mean {near[0]!r}?" if near else _known(names)
            raise RemoteError("OH575", f"endpoints has {name!r}, which no node of the model names; {what}")
    for call in named:
        for url in given.get(call.endpoint_name, ()):
            flaw = endpoint_problem(call.protocol, url)
            if problem := flaw[1] if flaw else own_path_problem(call.protocol, url):
                message = f"for the endpoint {call.endpoint_name!r} the session has a URL that does not fit: {problem}"
                raise RemoteError("OH576", message, node=call.node)


def _urls(name: str, urls: object) -> list[str]:
    found = [urls] if isinstance(urls, str) else urls
    if isinstance(found, Sequence) and found and all(is_name(url) for url in found):
        return list(found)
    raise _unusable(f"for the endpoint {name!r} endpoints has a URL, or a list of them, not {_odd(urls)}")


def _odd(urls: object) -> str:
    """What stands for URLs and is none, by its kind alone: a URL beside it may hold a password."""
    if urls == "" or not isinstance(urls, Sequence):
        return "an empty text" if urls == "" else type(urls).__name__
    kinds = [type(url).__name__ for url in urls if not isinstance(url, str)]
    return f"a list that holds {kinds[0]}" if kinds else "an empty list" if not urls else "a list of odd texts"


def _known(names: Iterable[str]) -> str:
    known = ", ".join(map(repr, sorted(names)))
    return f"they name {known}" if known else "they name none: Model.retarget moves calls to another URL"


def _unusable(message: str) -> RemoteError:
    return RemoteError("OH576", message)
