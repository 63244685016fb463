"""A server on loopback that costs as little as it can: it takes any request, and answers at once or after a while."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PAUSE = 0.1
"""Seconds that pass before a model's answer."""

ECHO = "echo"
"""The model whose answer is its input, and comes at once."""

_ROOM = 1 << 20


@contextmanager
def serve() -> Iterator[str]:
    """The address of a server in a process of its own, so that its work is not counted as a client's."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.loopback"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _answer(head: bytes, body: memoryview) -> list[bytes | memoryview]:
    """A transcription, the tensor that came, or one number after a while."""
    if _is_echo(head):
        return _echoed(body[_stated(head, b"inference-header-content-length") :])
    text = b'{"text": "hi"}'
    if b"/v2/models/" in head:
        time.sleep(PAUSE)
        text = b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [1.0]}]}'
    return [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)]


def _echoed(tensor: memoryview) -> list[bytes | memoryview]:
    header = b'{"outputs":[{"name":"y","datatype":"FP32","shape":[%d],"parameters":{"binary_data_size":%d}}]}' % (
        len(tensor) // 4,
        len(tensor),
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n" % (
        len(header) + len(tensor)
    )
    return [head + b"Inference-Header-Content-Length: %d\r\n\r\n" % len(header) + header, tensor]


def _talk(connection: socket.socket) -> None:
    room = memoryview(bytearray(_ROOM))
    with suppress(OSError), connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while filled := connection.recv_into(room):
            end = bytes(room[:4096]).find(b"\r\n\r\n")  # clients send a head at once
            head, start = bytes(room[:end]).lower(), end + 4
            finish = start + _stated(head, b"content-length")
            if _is_echo(head) and finish > len(room):
                room = _larger(room, finish)
            _fill(connection, room, filled, finish)
            for part in _answer(head, room[start:finish]):
                connection.sendall(part)


def _larger(room: memoryview, size: int) -> memoryview:
    larger = memoryview(bytearray(size))
    larger[: len(room)] = room
    return larger


def _fill(connection: socket.socket, room: memoryview, filled: int, finish: int) -> None:
    """Read a body. One for which there is no room is dropped, on Linux without a copy out of the kernel."""
    if finish <= len(room):
        while filled < finish and (count := connection.recv_into(room[filled:finish])):
            filled += count
        return
    dropped = socket.MSG_TRUNC if sys.platform == "linux" else 0
    while filled < finish and (count := connection.recv_into(room, min(len(room), finish - filled), dropped)):
        filled += count


def _is_echo(head: bytes) -> bool:
    return b"/v2/models/%b/" % ECHO.encode() in head


def _stated(head: bytes, name: bytes) -> int:
    """The number that a header states; 0 where it is not there."""
    lines = (line.split(b":") for line in head.split(b"\r\n")[1:])
    return next((int(line[1]) for line in lines if line[0] == name), 0)


def main() -> None:
    """Print the address, and serve until the process ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_talk, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
