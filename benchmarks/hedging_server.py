"""A server on loopback that is slow now and then, and counts: `python -m benchmarks.hedging_server EVERY`."""

from __future__ import annotations

import itertools
import json
import random
import select
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.request import urlopen

ORDINARY = 0.002
"""Seconds that an answer takes."""

SLOW = 0.2
"""Seconds that a slow one takes."""

_ROOM = 1 << 16
_ANSWER = b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [1.0]}]}'


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    url: str

    def counts(self) -> dict[str, int]:
        """Requests so far by model, and by `MODEL cancelled` those that the client gave up."""
        with urlopen(self.url) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def serve(every: int) -> Iterator[Server]:
    """A server that is slow on one of so many calls of each model, on none with 0, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.hedging_server", str(every)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(f"http://{process.stdout.readline().strip()}")
        finally:
            process.terminate()


@dataclass
class _Work:
    """What the server does: the same for each model, whose calls are slow at the same places."""

    every: int
    counts: Counter[str] = field(default_factory=Counter)
    slow: defaultdict[str, Iterator[bool]] = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.slow = defaultdict(lambda: _slow(self.every))

    def answer(self, connection: socket.socket, head: bytes) -> bytes | None:
        """The answer after its time; None where the client has gone."""
        if not head.startswith(b"POST"):
            return json.dumps(self.counts).encode()
        model = head.split(b"/v2/models/")[1].split(b"/")[0].decode()
        with self.lock:
            self.counts[model] += 1
            is_slow = next(self.slow[model])
        if not is_slow:
            time.sleep(ORDINARY)
        elif select.select([connection], [], [], SLOW)[0]:
            with self.lock:
                self.counts[f"{model} cancelled"] += 1
            return None
        return _ANSWER

    def talk(self, connection: socket.socket) -> None:
        """Answer the requests of a connection until it ends."""
        with suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(_ROOM):
                end = data.find(b"\r\n\r\n") + 4
                lines = (line.split(b":") for line in data[:end].lower().split(b"\r\n")[1:])
                length = next((int(line[1]) for line in lines if line[0] == b"content-length"), 0)
                while len(data) < end + length:
                    data += connection.recv(_ROOM)
                if (body := self.answer(connection, data[:end])) is None:
                    return
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(head % len(body) + body)


def _slow(every: int) -> Iterator[bool]:
    """Whether each call is slow: one of so many, at a random place among them."""
    chance = random.Random(7)
    while every:
        place = chance.randrange(every)
        yield from (number == place for number in range(every))
    yield from itertools.repeat(False)


def main() -> None:
    """Print the address, and serve until the process ends."""
    work = _Work(int(sys.argv[1]))
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=work.talk, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
