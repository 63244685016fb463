"""What a caller is told of a model's failure: the code and what helps, and nothing of the inside.

The inside is where ONNX Runtime was built, what lies where on this machine, and which servers a hybrid calls. All of it
goes to the log, for whoever runs the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from onnxhybrid.diagnostics import REGISTER
from onnxhybrid.endpoint.tensors import Array
from onnxhybrid.errors import Error, RemoteError
from onnxhybrid.model.remote_spec import RemoteSpec

GONE = "…"

_OF_TENSORS = frozenset({"OH504", "OH505", "OH506", "OH509"})
"""Codes of remote calls whose messages are of tensors, which the caller gave."""

_CODED = re.compile(r"\[OH\d{3}\] ")

_OF_THE_CALLER = frozenset({400, 413, 422})
"""Statuses with which a server says that what was sent to it is wrong."""

_LONGEST = 2000
"""Characters of a message that are looked at; the rest is not told."""

_FILE = r"(?:[A-Za-z]:)?[\\/][^\s:'\"]*"

_CHECKED = re.compile(_FILE + r":\d+ .*? was false\. ?", re.DOTALL)
"""ONNX Runtime's file, line and function with a condition that did not hold; what it means follows."""

_SOURCE = re.compile(_FILE + r":\d+,? ?(?:[\w:~<>,&* ]*\([^()]*\) ?(?:const )?)?")
"""A line of source, and the function that it is in."""

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.%]+\]|[^\s'\"<>()\[\]{}])*", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.]*\w)")
_IPV6 = re.compile(r"\[?(?<![\w:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,}(?:%\w+)?(?![\w:])\]?(?::\d+)?", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w.…])(?:[A-Za-z]:[\\/]|~?/|\\\\)[^\s'\"<>|:*?,;()\[\]{}]+")
_VARIABLE = re.compile(r"\bONNXHYBRID_[A-Z0-9_]+\b")
_HOST_AND_PORT = re.compile(r"\b(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*:\d{2,5}\b", re.IGNORECASE)


def told(problem: Exception, inside: Iterable[str] = ()) -> str:
    """What may be said of a failed run to whoever asked for it.

    Args:
        problem: what the run raised.
        inside: further texts that are not to be told: names of hosts, paths.
    """
    if not isinstance(problem, Error):
        return "the endpoint's log says why"
    if not isinstance(problem, RemoteError):
        return f"[{problem.code}] {discreet(problem.message, inside)}"
    title = REGISTER[problem.code].title
    status = f" ({problem.status})" if problem.status else ""
    said = f"[{problem.code}] a part of it that is elsewhere: {title[0].lower()}{title[1:]}{status}"
    if problem.code in _OF_TENSORS or problem.status in _OF_THE_CALLER:
        host = urlsplit(problem.endpoint).hostname or ""
        return f"{said}: {_HOST_AND_PORT.sub(GONE, discreet(problem.message, (problem.endpoint, host, *inside)))}"
    return said


def discreet(text: str, inside: Iterable[str] = ()) -> str:
    """A text without lines of source, URLs, addresses and paths, and without any of `inside`."""
    text = text[:_LONGEST]
    for known in sorted(filter(None, inside), key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(known)}(?![\w-])", GONE, text, flags=re.IGNORECASE)
    text = _SOURCE.sub("", _CHECKED.sub("", _URL.sub(GONE, text)))
    for pattern in (_IPV4, _IPV6, _PATH, _VARIABLE):
        text = pattern.sub(GONE, text)
    return text


def discreet_outputs(outputs: Mapping[str, Array], inside: Sequence[str]) -> dict[str, Array]:
    """A hybrid's outputs, of which a text that says what befell a remote call says no more than `discreet` leaves."""
    return {name: _discreet_array(array, inside) if array.dtype == object else array for name, array in outputs.items()}


def _discreet_array(array: Array, inside: Sequence[str]) -> Array:
    texts = [_HOST_AND_PORT.sub(GONE, discreet(text, inside)) if _CODED.match(text) else text for text in array.flat]
    told = np.empty(array.size, object)
    told[:] = texts
    return told.reshape(array.shape)


def insides(remotes: Iterable[RemoteSpec]) -> tuple[str, ...]:
    """The texts by which an error may name the servers that a hybrid calls."""
    urls = {remote.endpoint for remote in remotes}
    return tuple(urls | {urlsplit(url).hostname or "" for url in urls})


def places(*paths: str | None) -> tuple[str, ...]:
    """The texts by which an error may name where these files are, and where this program runs."""
    known = [Path.cwd(), Path.home(), *(Path(path).absolute().parent for path in paths if path)]
    return tuple({str(each) for each in known if len(each.parts) > 1} | {path for path in paths if path})
