"""The native operator library as Python sees it: where it is, and the few C functions that it offers to hosts."""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxhybrid.errors as errors
from onnxhybrid.diagnostics import REGISTER

ABI_VERSION = 5

_FILE = {"win32": "onnxhybrid.dll", "darwin": "libonnxhybrid.dylib"}.get(sys.platform, "libonnxhybrid.so")

_Put = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
_Resolver = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p, _Put)

Check = ctypes.CFUNCTYPE(ctypes.c_int32)
"""Makes a function that the library calls while a run waits; anything but 0 ends the wait."""

CheckFunction = Any  # an instance of Check, which is no type to mypy
UNCHECKED: CheckFunction = Check()
"""No function: the library asks nobody."""

_PATIENCE = 500
"""Milliseconds that runs have to return when the interpreter ends."""

_CALL = ":call "
"""What the name begins with by which a call's traceparent is asked for; the node's name follows."""

Resolve = Callable[[str], str]
"""Gives the value of the credential of a name; called at each remote call, on a thread of the library's."""


def library_path() -> str:
    """The path of the native operator library, for any ONNX Runtime binding's `register_custom_ops_library`.

    The environment variable ONNXHYBRID_LIBRARY names another file.

    Raises:
        Error: OH550, it is not there.
    """
    path = Path(os.environ.get("ONNXHYBRID_LIBRARY") or Path(__file__).parent / "lib" / _FILE)
    if not path.is_file():
        raise errors.Error("OH550", f"the operator library {path} does not exist; install the package again")
    return str(path)


@functools.cache
def _library() -> ctypes.CDLL:
    path = library_path()
    version: int | str = "none"
    try:
        library = ctypes.CDLL(path)
        library.onnxhybrid_abi_version.restype = ctypes.c_uint32
        version = library.onnxhybrid_abi_version()
        if version != ABI_VERSION:
            raise errors.Error("OH550", _unusable(path, version, ""))
        _declare(library, _FUNCTIONS)
    except (OSError, AttributeError) as problem:
        raise errors.Error("OH550", _unusable(path, version, f": {problem}")) from None
    # A thread that came back from a wait after the interpreter's end would bring the process down.
    atexit.register(library.onnxhybrid_exit, _PATIENCE)
    return library


def _unusable(path: str, version: int | str, why: str) -> str:
    return (
        f"the operator library {path} cannot be used: its version is {version}, and this package needs {ABI_VERSION}"
        f"{why}; install the package again, and let ONNXHYBRID_LIBRARY name no other file"
    )


@functools.cache
def _quick() -> ctypes.PyDLL:
    """The functions around every run. They never wait, so that they need not let go of the interpreter's lock."""
    library = ctypes.PyDLL(_library()._name)
    _declare(library, _QUICK)
    return library


@functools.cache
def events_waiting() -> ctypes.c_uint64:
    """How many failed attempts wait for `Scope.events` in all scopes together, at any time that its value is read."""
    return ctypes.c_uint64.in_dll(_library(), "onnxhybrid_events_waiting")


@functools.cache
def border() -> tuple[Callable[[int, CheckFunction, int], None], Callable[[int], None]]:
    """What is called around a run on the thread that runs: `enter`, and then `leave` in any case.

    `enter(run, check, token)` says that this thread now runs the run of this id, or with 0 one without a name; `check`
    is called on this thread while the run waits, several times a second. `leave(token)` says that it is over, and with
    it whatever this thread entered since; calls that it began and did not await are dropped. Until then the library may
    call `check`: since a signal handler may raise before `leave` is called, it has to be one that is never freed.
    """
    return _quick().onnxhybrid_run_enter, _quick().onnxhybrid_run_leave


_TEXT, _GIVEN, _NUMBER = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint64  # given: to be freed
# What each returns, and what it takes.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "protocols": (_GIVEN,),
    "endpoint": (_GIVEN, _TEXT),
    "scope_create": (_NUMBER, _TEXT, _Resolver, ctypes.POINTER(_GIVEN)),
    "scope_release": (None, _NUMBER),
    "scope_stats": (_GIVEN, _NUMBER),
    "scope_assign": (ctypes.c_uint32, _NUMBER, _NUMBER),
    "scope_budget": (_GIVEN, _NUMBER, _TEXT),
    "audit_low": (ctypes.c_double, _NUMBER, _NUMBER),
    "describe": (_GIVEN, _NUMBER, _TEXT),
    "run_create": (_NUMBER,),
    "run_cancel": (None, _NUMBER),
    "run_release": (None, _NUMBER),
    "exit": (None, ctypes.c_uint32),
    "free": (None, _GIVEN),
}
_QUICK: dict[str, tuple[Any, ...]] = {
    "run_enter": (None, _NUMBER, Check, _NUMBER),
    "run_leave": (None, _NUMBER),
    "scope_events": (_GIVEN, _NUMBER),
    "trace": (None, _TEXT),
}


def _declare(library: ctypes.CDLL, functions: dict[str, tuple[Any, ...]]) -> None:
    for name, (result, *arguments) in functions.items():
        function = getattr(library, f"onnxhybrid_{name}")
        function.restype, function.argtypes = result, arguments


def _json(text: int | None) -> Any:
    """The JSON document at a pointer that the library returned, which is freed."""
    if not text:
        raise errors.Error("OH530", "the operator library does not know this scope")
    try:
        return json.loads(ctypes.string_at(text))
    finally:
        _library().onnxhybrid_free(text)


def _answer(text: int | None) -> dict[str, Any]:
    answer: dict[str, Any] = _json(text)
    if "failure" in answer:
        raise error_of(answer["failure"])
    return answer


@functools.cache
def _declared() -> dict[str, Any]:
    tables: dict[str, Any] = _json(_library().onnxhybrid_protocols())
    return tables


def protocols() -> dict[str, Any]:
    """The protocol table of the library: protocol -> schemes, attributes, dtypes (see docs/operator.md)."""
    table: dict[str, Any] = _declared()["protocols"]
    return table


@functools.lru_cache(1024)
def endpoint(text: str) -> dict[str, Any]:
    """What a URL is as an endpoint, by the very function that reads it when a call is made.

    Returns:
        "scheme", "host", "port", "loopback" (whether that is this very machine), "path" (without a slash at its end),
        "shown" (the URL with stars for the values of its query) and "keys" (the names in its query that keys stand
        behind); or "problem", what is wrong with it, and "login", whether that is a user or a password.
    """
    # Behind a NUL the library would not see the rest.
    seen = "" if "\0" in text else text
    answer: dict[str, Any] = _json(_library().onnxhybrid_endpoint(seen.encode("utf-8", "surrogatepass")))
    return answer


def refused_headers() -> dict[str, str]:
    """The headers that no remote node gives, in lower case, with why; a `*` stands for whatever follows."""
    table: dict[str, str] = _declared()["refused_headers"]
    return table


def settings() -> dict[str, Any]:
    """The words of a session's settings, as the entry `onnxhybrid.session` has them, each with what it may be."""
    return dict(_declared()["settings"])


def attributes() -> dict[str, Any]:
    """The attributes that a remote node has whatever its protocol: name -> type, default, least and most.

    An attribute without a default is one that every node must have.
    """
    table: dict[str, Any] = _declared()["attributes"]
    return table


def default(attribute: str) -> Any:
    """What holds where a remote node lacks the attribute: a str or an int, or None if a node must have it.

    The library is loaded for it, which takes a while where nothing else needed it.
    """
    return attributes().get(attribute, {}).get("default")


def audit_low(audited: int, differed: int) -> float:
    """With 95 % more than this share of rows differs, where so many of any sessions were audited, and so many did."""
    return float(_library().onnxhybrid_audit_low(audited, differed))


def trace(wish: str | None) -> None:
    """Say what is wanted of the calls that this thread makes from now on; None ends it, and drops reports that wait.

    Args:
        wish: a W3C `traceparent` that they carry; `calls`, for a report of each in `Scope.events`, or `calls` and after
            a space a traceparent; `spans`, for a report of each and a traceparent of its own, which the scope gives.
    """
    _quick().onnxhybrid_trace(None if wish is None else wish.encode())


class Scope:
    """A session's scope in the library: its credentials, policy and statistics. Freed with the object."""

    def __init__(
        self,
        config: dict[str, Any],
        resolve: Resolve | None = None,
        reveal: Callable[[object], str] | None = None,
        begin: Callable[[str], str] | None = None,
    ) -> None:
        """Make a scope.

        Args:
            config: the scope's configuration, as the library reads it.
            resolve: gives the values of the credentials that the configuration leaves to the host.
            reveal: gives the text that an object of the configuration stands for, which is printed nowhere.
            begin: gives the traceparent of a call of a node that begins on its thread, empty for none.

        Raises:
            Error: OH530, the configuration is malformed.
        """
        self._resolver = _Resolver(functools.partial(_resolved, resolve, begin)) if resolve else _Resolver()
        failure = ctypes.c_void_p()
        self.id: int = _library().onnxhybrid_scope_create(
            json.dumps(config, default=reveal).encode(), self._resolver, ctypes.byref(failure)
        )
        if not self.id:
            raise error_of(_json(failure.value))

    def stats(self) -> dict[str, Any]:
        """The statistics by node."""
        table: dict[str, Any] = _json(_library().onnxhybrid_scope_stats(self.id))
        return table

    def events(self) -> dict[str, Any] | None:
        """What happened since the last question, if anything did and the configuration asks for it.

        Returns:
            "events", the failed attempts, and "calls", the calls that ended on this thread, as far as `trace` asks for
            them; "forgotten" and "forgotten_calls" say how many were too many to keep.
        """
        text = _quick().onnxhybrid_scope_events(self.id)
        return _json(text) if text else None

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a server says of a model's inputs and outputs.

        Raises:
            RemoteError: the server could not be asked, or its answer is no description.
        """
        return _answer(_library().onnxhybrid_describe(self.id, json.dumps(request).encode()))

    def budget(self, change: dict[str, Any] | None = None) -> dict[str, int]:
        """Change its budget, as `onnxhybrid_scope_budget` takes it; gives what was spent then, or raises why not."""
        return _answer(_library().onnxhybrid_scope_budget(self.id, json.dumps(change).encode()))

    def assign(self, registered: int) -> None:
        """Give this scope the kernels that are created from now on through the registration of another scope."""
        _library().onnxhybrid_scope_assign(registered, self.id)

    def __del__(self) -> None:
        if getattr(self, "id", 0) and _library is not None:  # at interpreter exit globals may be gone
            _library().onnxhybrid_scope_release(self.id)


class Run:
    """A run of a session, as the library knows it, from before it begins until it is over."""

    def __init__(self) -> None:
        self.id: int = _library().onnxhybrid_run_create()

    def cancel(self) -> None:
        """End its waits, those to come included; from any thread."""
        _library().onnxhybrid_run_cancel(self.id)

    def __del__(self) -> None:
        if getattr(self, "id", 0) and _library is not None:  # at interpreter exit globals may be gone
            _library().onnxhybrid_run_release(self.id)


def _resolved(resolve: Resolve, begin: Callable[[str], str] | None, name: bytes, sink: int, put: Any) -> int:
    """Answer the library; no exception may cross into it, and none of its text may hold a secret."""
    try:
        node = name.decode("utf-8", "replace").removeprefix(_CALL) if name.startswith(_CALL.encode()) else None
        value, status = resolve(name.decode()) if node is None or begin is None else begin(node), 0
        if not isinstance(value, str):
            value, status = f"the credential's callable returned {type(value).__name__}, not str", 1
    except BaseException as problem:  # noqa: BLE001  # the border of the interpreter
        value, status = f"the credential's callable or file raised {type(problem).__name__}", 1
    data = value.encode("utf-8", "surrogatepass")
    put(sink, data, len(data))
    return status


def error_of(failure: dict[str, Any]) -> errors.Error:
    """The exception for a failure of the library: the register says which class carries the code."""
    code = failure["code"] if failure["code"] in REGISTER else "OH500"
    kind: type[errors.Error] = getattr(errors, REGISTER[code].raises)
    if not issubclass(kind, errors.RemoteError):
        return kind(code, failure["message"])
    details = {name: failure.get(name) for name in ("node", "endpoint", "status", "attempts")}
    return kind(code, failure["message"], **{name: value for name, value in details.items() if value is not None})
