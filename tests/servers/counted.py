"""A KServe server of the remote of tests/cascades.py that keeps which rows it was asked, and fails when told to."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

import onnxhybrid as oh
from tests.servers.raw import answer, raw_server

Row = tuple[float, ...]


@dataclass
class Counted:
    """The server: its base URL, how often each row came, whether a request fails, by number and rows, and how."""

    url: str = ""
    asked: Counter[Row] = field(default_factory=Counter)
    fails: Callable[[int, list[Row]], bool] = lambda number, rows: False
    requests: int = 0
    failure: str = "500 No"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remote(self, endpoint: str | oh.Endpoint | None = None, /, **options: object) -> oh.Model:
        """The remote as a Model, of this server where no other is named."""
        settings: dict[str, object] = {"binary": False, "retries": 0, "timeout": 20.0, **options}
        x, label = oh.TensorSpec("x", "float32", ("n", 3)), oh.TensorSpec("label", "int64", ("n",))
        return oh.remote.triton(endpoint or self.url, "remote", inputs=[x], outputs=[label], **settings)  # type: ignore[arg-type]

    def answer(self, connection: socket.socket, request: bytes) -> None:
        """Answer a request with the third column of its rows."""
        (given,) = json.loads(request.partition(b"\r\n\r\n")[2])["inputs"]
        count = given["shape"][0]
        rows = [tuple(row) for row in np.array(given["data"], np.float32).reshape(count, 3).tolist()]
        with self._lock:
            self.requests += 1
            self.asked.update(rows)
            fails = self.fails(self.requests, rows)
        output = {"name": "label", "datatype": "INT64", "shape": [count], "data": [int(row[2]) for row in rows]}
        body = json.dumps({"error": "no"} if fails else {"model_name": "remote", "outputs": [output]}).encode()
        answer(body, status=self.failure if fails else "200 OK")(connection, request)


def at(request: int, work: Callable[[], object]) -> Callable[[int, list[Row]], bool]:
    """Do something when a request of this number, or a later one, comes; all are answered."""

    def meanwhile(number: int, _: list[Row]) -> bool:
        if number >= request:
            work()
        return False

    return meanwhile


@contextlib.contextmanager
def counted() -> Iterator[Counted]:
    """Serve until the block ends."""
    server = Counted()
    with raw_server(server.answer) as raw:
        server.url = raw.url
        yield server
