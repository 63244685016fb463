"""`Secret`: a token, where it comes from, and the hosts that may have it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from onnxhybrid.errors import Error


class Secret:
    """A token for some hosts. It is never printed.

    Args:
        value: the token; a callable that returns it, called at each remote call; or the path (a `pathlib.Path`) of a
            file that holds it, read at each call, white space around it aside.
        hosts: the hosts that it may be sent to, `host` or `host:port`; none means the endpoints of the very model that
            it is given with, which is allowed for a token itself and for a callable, not for a file.

    Raises:
        Error: OH530, an argument is of another kind.
    """

    __slots__ = ("_value", "hosts")

    def __init__(self, value: str | Callable[[], str] | os.PathLike[str], hosts: Iterable[str] = ()) -> None:
        if not isinstance(value, (str, os.PathLike)) and not callable(value):
            raise Error("OH530", f"a Secret takes a str, a callable or a path, not {type(value).__name__}")
        named = tuple((hosts,) if isinstance(hosts, str) else hosts) if isinstance(hosts, Iterable) else (hosts,)
        if not all(isinstance(host, str) and host for host in named):
            raise Error("OH530", "a Secret's hosts are a list of texts such as 'host' or 'host:8000'")
        self.hosts = named
        if isinstance(value, os.PathLike) and not self.hosts:
            raise Error("OH530", "a Secret from a file names the hosts that it is for: Secret(path, hosts=['host'])")
        self._value = value

    @property
    def fixed(self) -> str | None:
        """The token, where it is known now."""
        return self._value if isinstance(self._value, str) else None

    def resolve(self) -> str:
        """The token as it is now."""
        if isinstance(self._value, str):
            return self._value
        if isinstance(self._value, os.PathLike):
            return Path(self._value).read_text(encoding="utf-8").strip()
        return self._value()

    def __repr__(self) -> str:
        return f"Secret('***', hosts={self.hosts!r})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled: the pickle would hold it")
