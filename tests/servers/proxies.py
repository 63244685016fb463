"""Proxies that pass every connection on to one server, whatever host they are asked for, and keep what they heard."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[str]]
"""Speaks with a client until bytes are to be passed on, and says what it asked for; raises EOFError to hang up."""


@dataclass
class Proxy:
    """Its port, and what clients asked it for."""

    port: int
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def proxy(greet: Greet, server: str, *, context: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Pass connections on to `server`, a URL, on a free loopback port until the block ends; with a context by TLS."""
    made = Proxy(0)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    over = asyncio.Event()
    target = urlsplit(server)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError), contextlib.closing(writer):
            made.asked.append(await greet(reader, writer))
            there = await asyncio.open_connection(target.hostname, target.port)
            with contextlib.closing(there[1]):
                await asyncio.wait(
                    [
                        asyncio.ensure_future(_pass_on(reader, there[1])),
                        asyncio.ensure_future(_pass_on(there[0], writer)),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )

    async def serve() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context) as listener:
            made.port = listener.sockets[0].getsockname()[1]
            ready.set()
            await over.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(10)
        yield made
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """HTTP's CONNECT."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return head


def socks(*, login: tuple[str, str] | None = None, reply: int = 0) -> Greet:
    """SOCKS 5 (RFC 1928), for everybody or for one user, with a reply of this number."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        method = 2 if login else 0
        _, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        writer.write(bytes([5, method if method in offered else 255]))
        if login:
            await reader.readexactly(1)
            given = tuple([(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)])
            writer.write(bytes([1, given != login]))
        kind = (await reader.readexactly(4))[3]
        length = (await reader.readexactly(1))[0] if kind == 3 else {1: 4, 4: 16}[kind]
        host = await reader.readexactly(length)
        port = int.from_bytes(await reader.readexactly(2), "big")
        writer.write(bytes([5, reply, 0, 3, 4, *b"here", 0, 80]))
        if reply:
            raise EOFError
        return f"{host.decode() if kind == 3 else '.'.join(map(str, host))}:{port}"

    return greet
