"""What an endpoint is told when it is made, apart from its models and its address."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from onnxhybrid.endpoint.slices import Batch
from onnxhybrid.errors import Error

_MOST = 1000


@dataclass(frozen=True)
class Settings:
    """See `onnxhybrid.endpoint.serve`, whose keywords they are.

    Raises:
        Error: OH552, one cannot be used.
    """

    token: str | None
    allow_hosts: tuple[str, ...]
    max_request_bytes: int
    max_memory_bytes: int
    max_connections: int
    receive_timeout: float
    batch: Batch = None

    def __post_init__(self) -> None:
        token = self.token
        if not isinstance(token, str | None):
            raise Error("OH552", f"token is str, not {type(token).__name__}")
        if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
            raise Error("OH552", "the token has to be a string of visible ASCII characters")
        for name, kinds in (*((each.name, (int,)) for each in fields(self)[2:5]), ("receive_timeout", (int, float))):
            value = getattr(self, name)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise Error("OH552", f"{name} is {kinds[-1].__name__}, not {type(value).__name__}")
            if not (value > 0 and math.isfinite(value)):
                raise Error("OH552", f"{name} is {value}; it has to be above 0")
        for rows in self.batch.values() if isinstance(self.batch, Mapping) else (self.batch,):
            if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 0):
                raise Error("OH552", f"batch is an int from 0, the rows of one run, or one by model, not {rows!r}")


def hosts_given(allow_hosts: object) -> tuple[str, ...]:
    """The entries of `allow_hosts`.

    Raises:
        Error: OH552, it is no list of str.
    """
    if isinstance(allow_hosts, str) or not isinstance(allow_hosts, Iterable):
        raise Error("OH552", "allow_hosts is a list of hosts, such as ['gpu.example']")
    entries = tuple(allow_hosts)
    if not all(isinstance(entry, str) for entry in entries):
        raise Error("OH552", "allow_hosts is a list of hosts, each a str")
    return entries


def most_connections() -> int:
    """How many connections there may be: half of the descriptors that the process may open, the rest is the models'."""
    if sys.platform == "win32":
        return _MOST
    import resource

    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST if descriptors == resource.RLIM_INFINITY else max(8, min(_MOST, descriptors // 2))
