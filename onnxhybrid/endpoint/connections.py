"""Connections that hold nobody up: deadlines for what a client sends and takes, and a bound on their number.

uvicorn limits how long a connection may be idle between requests and how large a head may be. What it has no setting
for is here: a request has to arrive in time, an answer has to be taken, and where there are too many connections, the
one that has been waiting for its client for the longest makes room.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from onnxhybrid.endpoint.answers import error_form

HEAD_SECONDS = 15.0
"""The most seconds that a request's head may take to arrive; less where a whole request has less."""

_LEAST_RATE = 16 << 10
"""Bytes a second of an answer that a client has to take."""

_PIECES = (2 << 10, 256 << 10)
"""The least and the most bytes that are read from a client at once; asyncio's own size is the latter."""

_FIRST = 32 << 10

_SHORT, _LONG = 0.001, 0.005
"""Seconds of work for a piece: below the first the next one is larger, above the second smaller."""

_AT_ONCE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}


@final
@dataclass
class Watch:
    """What all connections of an endpoint have in common.

    Attributes:
        limit: the most connections.
        seconds: what a request has to arrive in, and the pace at which an answer has to be taken is looked at.
        open: the connections, that which heard of its client last at the end.
        refused: told the status with which a connection is ended that comes to no application.
    """

    limit: int
    seconds: float
    refused: Callable[[int], None]
    open: dict[Connection, None] = field(default_factory=dict)

    def admit(self, connection: Connection) -> bool:
        """Let a connection in, in the place of another if need be; whether there is one."""
        if len(self.open) >= self.limit:
            waiting = sorted((each for each in self.open if each.rank < 2), key=lambda each: each.rank)
            if not waiting:  # each has a request that is being answered
                return False
            del self.open[waiting[0]]
            waiting[0].drop()
        self.open[connection] = None
        return True

    def heard(self, connection: Connection) -> None:
        """A client sent something."""
        if connection in self.open:
            del self.open[connection]
            self.open[connection] = None


class WatchedConfig(uvicorn.Config):
    """uvicorn's settings, and the `watch` that its connections belong to."""

    def __init__(self, app: Any, watch: Watch, **settings: Any) -> None:
        super().__init__(app, http=Connection, **settings)
        self.watch = watch


@final
class Connection(H11Protocol):
    """uvicorn's connection, watched."""

    def __init__(self, config: uvicorn.Config, *given: Any, **named: Any) -> None:
        assert isinstance(config, WatchedConfig)
        super().__init__(config, *given, **named)
        self._watch = config.watch
        self._arriving: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._in_body = False
        self._line = b""
        self._piece = _FIRST

    @property
    def rank(self) -> int:
        """How soon the connection makes room: 0, its client has to send; 1, it has to take; 2, it waits for us."""
        if self._taking is not None:
            return 1
        working = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        return 2 if working else 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Of asyncio: a client has come."""
        super().connection_made(transport)
        self._pace(_SHORT)
        transport.set_write_buffer_limits(0)  # a paused connection is one whose client has not taken all
        if self._watch.admit(self):
            self._expect(min(HEAD_SECONDS, self._watch.seconds))
        else:
            self._end(503, "the endpoint has no connection left: try again later")

    def data_received(self, data: bytes) -> None:
        """Of asyncio: a client sent something."""
        if self.conn.their_state is h11.IDLE and not self._line:
            self._line = data[:1024]
        self._watch.heard(self)
        started = time.thread_time()
        super().data_received(data)
        self._pace(time.thread_time() - started)
        self._look()

    def _pace(self, seconds: float) -> None:
        """Read less at once from a client whose bytes take long, such as chunks of one byte: others wait meanwhile."""
        if seconds > _LONG:
            self._piece = max(_PIECES[0], self._piece // 2)
        elif seconds < _SHORT:
            self._piece = min(_PIECES[1], self._piece * 2)
        self.transport.max_size = self._piece  # type: ignore[attr-defined]  # asyncio's size of a read

    def _look(self) -> None:
        """Set the deadline that the state of the request asks for."""
        state = self.conn.their_state
        if state is h11.IDLE and self._arriving is None:
            self._expect(min(HEAD_SECONDS, self._watch.seconds))
        elif state is h11.SEND_BODY and not self._in_body:
            self._in_body = True
            self._expect(self._watch.seconds)
        elif state not in (h11.IDLE, h11.SEND_BODY):
            self._arrived()

    def on_response_complete(self) -> None:
        """Of uvicorn: an answer is complete."""
        super().on_response_complete()
        self._arrived()
        if self.conn.their_state is not h11.IDLE:  # for the time between requests uvicorn has a timer
            self._look()

    def _arrived(self) -> None:
        self._in_body, self._line = False, b""
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _expect(self, seconds: float) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
        self._arriving = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        answered = self.cycle is not None and self.cycle.response_started and self._in_body
        if self.transport.is_closing():
            self.drop()
        elif self._line and not answered:
            self._end(408, "the request did not arrive in time")
        else:
            self.transport.close()

    def drop(self) -> None:
        """End the connection now: nothing that is still to be sent is kept, by the system neither."""
        peer = self.transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Of uvicorn: what came is no HTTP."""
        self._end(400, "this is no HTTP request, or none with exactly one Host header")

    def _end(self, status: int, message: str) -> None:
        """Answer without the application, and close."""
        self._watch.refused(status)
        words = self._line.split(b" ", 2)
        path = words[1].decode("latin-1") if len(words) > 1 else "/"
        body = json.dumps(error_form(message, status, path)).encode()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, _REASONS[status], len(body)) + body)
        self.transport.close()

    def pause_writing(self) -> None:
        """Of asyncio: the client has to take something."""
        super().pause_writing()
        self._take_from(self.transport.get_write_buffer_size())

    def _take_from(self, left: int) -> None:
        self._taking = self.loop.call_later(self._watch.seconds, self._taken, left)

    def _taken(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if before - left < _LEAST_RATE * self._watch.seconds:
            self.drop()
        else:
            self._take_from(left)

    def resume_writing(self) -> None:
        """Of asyncio: the client has taken all."""
        super().resume_writing()
        self._taken_all()

    def _taken_all(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Of asyncio: a client has gone."""
        self._watch.open.pop(self, None)
        self._arrived()
        self._taken_all()
        super().connection_lost(exc)
