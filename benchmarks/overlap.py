"""What a remote call of 200 ms costs beside local work of 200 ms: `python -m benchmarks.overlap`.

The server is on loopback and sleeps; the local work is a loop of matrix products, as many as this machine does in the
same time in one thread. Every case is measured beside the local work alone and the remote call alone, in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.servers.raw import answer, raw_server

SECONDS = 0.2
GOAL = 1.1
_ROWS, _COLUMNS = 16, 256
_X = np.full((_ROWS, _COLUMNS), 0.5, np.float32)


def local(times: int) -> oh.Model:
    """From x (n, columns) to y of the same shape, by so many matrix products one after the other."""
    number = helper.make_tensor_value_info("number", TensorProto.INT64, [])
    going, still = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("going", "still"))
    state, turned = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("state", "turned"))
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"], name="go on"),
            helper.make_node("MatMul", ["state", "square"], ["turned"], name="turn"),
        ],
        "body",
        [number, going, state],
        [still, turned],
    )
    weights = [numpy_helper.from_array(np.eye(_COLUMNS, dtype=np.float32), "square")]
    weights.append(numpy_helper.from_array(np.array(times), "times"))
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", _COLUMNS]) for name in "xy"}
    nodes = [helper.make_node("Loop", ["times", "", "x"], ["y"], name="work", body=body)]
    graph = helper.make_graph(nodes, "local", [value["x"]], [value["y"]], weights)
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def remote(url: str) -> oh.Model:
    """The same on a server."""
    x, y = (oh.TensorSpec(name, "float32", ("n", _COLUMNS)) for name in "xy")
    return oh.remote.triton(url, "slow", inputs=[x], outputs=[y])


@contextlib.contextmanager
def slow_server() -> Iterator[str]:
    """The URL of a server that answers after `SECONDS`."""
    output = {"name": "y", "datatype": "FP32", "shape": list(_X.shape), "data": _X.ravel().tolist()}
    reply = answer(json.dumps({"model_name": "slow", "outputs": [output]}).encode())

    def behave(connection: socket.socket, request: bytes) -> None:
        time.sleep(SECONDS)
        reply(connection, request)

    with raw_server(behave) as server:
        yield server.url


def calibrated() -> oh.Model:
    """The local work that takes `SECONDS`."""
    times = 500
    trial = Run(local(times), {})
    taken = min(trial.seconds() for _ in range(9))
    return local(max(1, round(times * SECONDS / taken)))


class Run:
    """A model that can be run on `_X`, in one thread."""

    def __init__(self, model: oh.Model, feeds: dict[str, np.ndarray]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = oh.Session(model, sess_options=options)
        self._feeds = {"x": _X, **feeds}

    def seconds(self) -> float:
        """What one run takes."""
        start = time.perf_counter()
        self._session.run(None, self._feeds)
        return time.perf_counter() - start


@dataclass(frozen=True)
class Case:
    """One row of the table: what is run, and whether the remote call counts in what it is compared with."""

    name: str
    run: Run
    waits: bool = True


def cases(edge: oh.Model, cloud: oh.Model) -> Iterator[Case]:
    """Every combinator that overlaps."""
    yield Case("parallel", Run(oh.parallel(edge=edge, cloud=cloud), {}))
    yield Case("ensemble", Run(oh.ensemble([edge, cloud]), {}))
    judge = oh.judge.max_probability("y") >= oh.Input("threshold", default=0.0)
    for rows in (False, True):
        ahead = oh.cascade(edge, cloud, judge, speculate=True, rows=rows)
        name = "speculate" + ", rows" * rows
        yield Case(f"{name}: refused", Run(ahead, {"threshold": np.ones(1, np.float32)}))
        yield Case(f"{name}: accepted", Run(ahead, {}), waits=False)


def main() -> int:
    """Measure and print a table; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overlap", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each case is measured (15)")
    rounds = parser.parse_args().rounds
    with slow_server() as url:
        edge, cloud = calibrated(), remote(url)
        alone = Run(edge, {}), Run(cloud, {})
        print(f"{'case':<24} {'ours':>8} {'local':>8} {'remote':>8} ms   ratio   goal")
        met = [_measured(case, alone, rounds) for case in cases(edge, cloud)]
    return 0 if all(met) else 1


def _measured(case: Case, alone: tuple[Run, Run], rounds: int) -> bool:
    """Measure a case and both parts alone, in turns; whether it reaches the goal.

    The best of the rounds counts, since other work on the machine only adds to it.
    """
    case.run.seconds()
    figures = [(case.run.seconds(), alone[0].seconds(), alone[1].seconds()) for _ in range(rounds)]
    ours, edge, cloud = (min(column) * 1e3 for column in zip(*figures, strict=True))
    ratio = ours / (max(edge, cloud) if case.waits else edge)
    verdict = "met" if ratio <= GOAL else "MISSED"
    print(f"{case.name:<24} {ours:>8.1f} {edge:>8.1f} {cloud:>8.1f}      {ratio:.2f}×   ≤ {GOAL:.2f}× {verdict}")
    return bool(ratio <= GOAL)


if __name__ == "__main__":
    sys.exit(main())
