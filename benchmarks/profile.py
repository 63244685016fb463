"""Where the time of a call goes that is the operator's own: `python -m benchmarks.profile`.

The first table is of one process's own processor time, so that what a server costs is not in it: ONNX Runtime's floor
is a session of one Identity node, and the wire's is a bare socket that carries the very bytes of the call. What a call
costs beyond these two is the operator's. The second table is of the native library alone: see native/benches.
"""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

import onnxhybrid as oh
from benchmarks import loopback
from benchmarks.loopback import ECHO

_SIZES = {"256 floats": (256, 2_000), "4 MB of floats": (1_000_000, 50)}
_ROUNDS = 5


def main() -> int:
    """Print both tables; the second only where cargo is, with which the library is built."""
    print(f"{'processor time of a call, µs':<34}" + "".join(f"{title:>16}" for title in _SIZES))
    with loopback.serve() as address:
        columns = [_column(address, *size) for size in _SIZES.values()]
    for step in columns[0]:
        print(f"{step:<34}" + "".join(f"{column[step]:>16.1f}" for column in columns), flush=True)
    cargo = shutil.which("cargo")
    if cargo is None:
        print("cargo is not there: the steps within the library were not measured", file=sys.stderr)
        return 0
    manifest = Path(__file__).parents[1] / "native" / "Cargo.toml"
    print()
    command = [cargo, "bench", "--quiet", "--locked", "--manifest-path", str(manifest), "--bench", "operator"]
    return subprocess.run(command, check=False).returncode


def _column(address: str, elements: int, calls: int) -> dict[str, float]:
    x = np.random.default_rng(0).random(elements, np.float32)
    feeds = {"x": x}
    identity = _identity().to_proto().SerializeToString()
    bare = onnxruntime.InferenceSession(identity, providers=["CPUExecutionProvider"])
    local, remote = oh.Session(_identity()), oh.Session(_echo(address))
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as wire:
        steps = {
            "Identity, InferenceSession": lambda: bare.run(None, feeds),
            "Identity, oh.Session": lambda: local.run(None, feeds),
            "Invoke, oh.Session": lambda: remote.run(None, feeds),
            "the same bytes, a bare socket": _exchange(wire, x),
        }
        figures: dict[str, list[float]] = {step: [] for step in steps}
        for _ in range(_ROUNDS):
            for step, work in steps.items():
                figures[step].append(_processor_time(work, calls))
    found = {step: statistics.median(times) for step, times in figures.items()}
    floor, call, bytes_alone = list(found.values())[1:]
    return {**found, "the operator's own": call - floor - bytes_alone}


def _processor_time(work: Callable[[], object], calls: int) -> float:
    """Microseconds of a call, all threads of this process together."""
    work()
    start = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - start) / calls * 1e6


def _identity() -> oh.Model:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def _echo(address: str) -> oh.Model:
    specs = [[oh.TensorSpec(name, "float32", ("n",))] for name in ("x", "y")]
    return oh.remote.triton(f"http://{address}", ECHO, inputs=specs[0], outputs=specs[1])


def _exchange(wire: socket.socket, x: np.ndarray) -> Callable[[], object]:
    """A request like that of the call, and its answer, with nothing made of either."""
    header = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[%d],"parameters":{"binary_data_size":%d}}]}' % (
        x.size,
        x.nbytes,
    )
    head = (
        f"POST /v2/models/{ECHO}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(header) + x.nbytes}\r\n"
        f"inference-header-content-length: {len(header)}\r\ncontent-type: application/octet-stream\r\n\r\n"
    )
    request, room = head.encode() + header + x.tobytes(), memoryview(bytearray(x.nbytes + 4096))

    def exchange() -> None:
        wire.sendall(request)
        count = wire.recv_into(room)
        while count < x.nbytes or bytes(room[count - 4 : count]) != request[-4:]:
            count += wire.recv_into(room[count:])

    return exchange


if __name__ == "__main__":
    sys.exit(main())
