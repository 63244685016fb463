"""How much memory requests may hold: each takes its part of a whole that all requests under way share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final

from starlette.requests import Request

from onnxhybrid.endpoint.failure import RequestError

Hold = Callable[[int], None]
"""Called with a number of bytes before they are held.

Raises:
    RequestError: there is no room: status 413 when a request alone is too large, 503 when others have the rest.
"""

_MUCH = 16 << 20
"""Bytes that requests held, one after the other, when what they left free is worth being returned to the system."""

_FREE = 64 << 20
_TIMES = 8


def allowance(size: int) -> int:
    """The most bytes that the readers of a body of `size` bytes may make of it, where that is theirs to say."""
    return _FREE + _TIMES * size


def unbounded(_: int) -> None:
    """A `Hold` for whoever reads what is in memory already."""


@final
class Memory:
    """A number of bytes that the requests under way hold together; any thread may take of it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._given = 0
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """The number of bytes."""
        return self._limit

    @property
    def held(self) -> int:
        """How many of them are held now."""
        return self._held

    def share(self) -> Share:
        """The share of one request, empty as yet."""
        return Share(self)

    def take(self, size: int, before: int) -> None:
        """Take `size` bytes for a request that holds `before` already, as `Hold` says.

        Who is refused gives back all that it holds in the same moment: of requests that are in each other's way, one
        is always served.
        """
        with self._lock:
            fits = self._held + size <= self._limit
            self._held += size if fits else -before
        if fits:
            return
        if before + size > self._limit:
            raise RequestError(f"the request takes more than the {self._limit} bytes of memory that one may hold", 413)
        raise RequestError("other requests hold the memory that this one needs: try again later", 503)

    def give(self, size: int) -> bool:
        """Give back what was taken; whether no request is left, and those that were had much."""
        with self._lock:
            self._held -= size
            self._given += size
            much = self._held == 0 and self._given >= _MUCH
            self._given = 0 if much else self._given
            return much


@final
class Share:
    """What one request holds. One thread at a time takes for it."""

    KEY = "onnxhybrid.share"
    """Where an ASGI scope has the share of its request."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._held = 0

    def hold(self, size: int) -> None:
        """Take more: a `Hold`."""
        held, self._held = self._held, 0
        self._memory.take(size, held)
        self._held = held + size

    def release(self) -> bool:
        """Give everything back; whether it is time to return memory to the system."""
        held, self._held = self._held, 0
        return self._memory.give(held)


def hold_of(request: Request) -> Hold:
    """What counts the memory of a request."""
    share: Share = request.scope[Share.KEY]
    return share.hold
