"""The server of the soak: it gives a tensor back, and every twentieth time it does something else.

`python -m benchmarks.soak_server [--port N] [--sound]` prints its address; a sound one never does something else.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
from collections.abc import Iterator

COLUMNS = 16
EVERY = 20
"""Of so many requests one meets a fault."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_HEADER = re.compile(rb"inference-header-content-length: (\d+)", re.IGNORECASE)
_FAULTS = (
    "reset", "closed", "half a head", "half a body", "garbage", "500", "401", "204", "302", "no JSON", "HTML", "gzip",
    "another shape", "too few bytes", "chunks cut short", "two answers", "endless head", "503", "silence", "drip",
)  # fmt: skip


def echoed(tensor: bytes, *, rows: int | None = None) -> bytes:
    """The right answer."""
    output = {
        "name": "y",
        "datatype": "FP32",
        "shape": [len(tensor) // 4 // COLUMNS if rows is None else rows, COLUMNS],
        "parameters": {"binary_data_size": len(tensor)},
    }
    header = json.dumps({"outputs": [output]}).encode()
    lengths = f"Content-Length: {len(header) + len(tensor)}\r\nInference-Header-Content-Length: {len(header)}\r\n\r\n"
    return _HEAD + lengths.encode() + header + tensor


def wrong(fault: str, tensor: bytes) -> bytes:
    """What is sent instead."""
    good = echoed(tensor)
    return {
        "half a head": good[:40],
        "half a body": good[:-20],
        "garbage": bytes(range(256)),
        "no JSON": _HEAD + b"Content-Length: 2\r\n\r\n}{",
        "HTML": good.replace(b"application/octet-stream", b"text/html"),
        "gzip": good.replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1),
        "another shape": echoed(tensor, rows=3),
        "too few bytes": echoed(tensor[:-4]),
        "chunks cut short": _HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc",
        "two answers": good + good,
        "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5_000,
        "drip": good[:50],
    }.get(fault, f"HTTP/1.1 {fault} Odd\r\nContent-Length: 0\r\n\r\n".encode() if fault.isdigit() else b"")


_STAYS_OPEN = {"500", "401", "302", "503", "HTML", "gzip", "another shape", "too few bytes", "no JSON", "two answers"}
_HANGS = {"silence", "drip"}


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, numbers: Iterator[int]) -> None:
    """Answer the requests of a connection until it ends; a number that EVERY divides stands for a fault."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length, header = (int(pattern.search(head)[1]) for pattern in (_LENGTH, _HEADER))  # type: ignore[index]
            tensor = (await reader.readexactly(length))[header:]
            number = next(numbers)
            if number % EVERY:
                writer.write(echoed(tensor))
                continue
            # Those that hang hold a caller up to its deadline: one of many is enough.
            fault = _FAULTS[number // EVERY % len(_FAULTS)]
            if fault in _HANGS and number // EVERY % (len(_FAULTS) * 8) >= len(_FAULTS):
                fault = "reset"
            writer.write(wrong(fault, tensor))
            if fault in _HANGS:
                await reader.read()
            if fault not in _STAYS_OPEN:
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        if writer.can_write_eof():
            writer.close()


async def serve(port: int, numbers: Iterator[int]) -> None:
    """Print the address, and serve until the process ends."""
    server = await asyncio.start_server(lambda reader, writer: talk(reader, writer, numbers), "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where it listens (any free port)")
    parser.add_argument("--sound", action="store_true", help="no request meets a fault")
    options = parser.parse_args()
    asyncio.run(serve(options.port, itertools.repeat(1) if options.sound else itertools.count(1)))


if __name__ == "__main__":
    main()
