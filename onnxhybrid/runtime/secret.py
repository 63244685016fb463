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
        hosts: where it may be sent: `host`, `host:port`, or an origin such as `https://host:8443`; none means the
            endpoints of the very model that it is given with, which is allowed for a token itself and for a callable,
            not for a file. Over plain http or grpc it goes to this very machine alone, unless an `http://` origin
            here, or in the policy's allow, names the endpoint.

    Raises:
        Error: OH530, an argument is of another kind.
    """

    __slots__ = ("_value", "hosts")

    def __init__(self, value: str | Callable[[], str] | os.PathLike[str], hosts: Iterable[str] = ()) -> None:
        self.hosts = tuple((hosts,) if isinstance(hosts, str) else hosts) if isinstance(hosts, Iterable) else (hosts,)
        self._value = value
        problem = self._problem()
        del value  # a report of an error shows the variables of the functions that it came through
        if problem:
            raise Error("OH530", problem)

    def _problem(self) -> str | None:
        if not isinstance(self._value, (str, os.PathLike)) and not callable(self._value):
            return f"a Secret takes a str, a callable or a path, not {type(self._value).__name__}"
        if not all(isinstance(host, str) and host for host in self.hosts):
            return "a Secret's hosts are a list of texts such as 'host', 'host:8000' or 'https://host'"
        if isinstance(self._value, os.PathLike) and not self.hosts:
            return "a Secret from a file names the hosts that it is for: Secret(path, hosts=['host'])"
        return None

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
