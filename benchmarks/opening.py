"""Our opening of a file beside ONNX Runtime's own: `python -m benchmarks.opening`, or `make bench-opening`.

The two take turns in one process, call by call, and so does who goes first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
from onnx import TensorProto, helper

import onnxhybrid as oh
from benchmarks import compositions, measure

GOAL = 1.15
NODES = 10_000


def light(nodes: int) -> onnx.ModelProto:
    """A model of so many nodes of which ONNX Runtime makes quick work: it can fuse none of them, and has no weights."""
    operators = ("Abs", "Floor", "Sqrt", "Exp")
    names = ["x", *(f"t{number}" for number in range(nodes - 1)), "y"]
    graph_nodes = [
        helper.make_node(operators[number % 4], [names[number]], [names[number + 1]], name=f"n{number}")
        for number in range(nodes)
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph(graph_nodes, "light", values[:1], values[1:])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


MODELS: dict[str, Callable[[int], onnx.ModelProto]] = {
    "layers of MatMul, Add and Relu": lambda nodes: compositions.layered("layered", nodes),
    "element by element": light,
}


def main() -> int:
    """Measure and print a table; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.opening", description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--rounds", type=int, default=3, help="how often each model is measured (3)")
    options = parser.parse_args()
    print(f"{f'opening a file of {options.nodes} nodes':<44} {'ours':>9} {'theirs':>9}     ratio (of the rounds)  goal")
    met = True
    for name, make in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.onnx"
            onnx.save(make(options.nodes), path)
            found = measure.compare(
                measure.p50(3),
                lambda path=path: oh.Session(path),  # type: ignore[misc]
                lambda path=path: onnxruntime.InferenceSession(path),  # type: ignore[misc]
                rounds=options.rounds,
            )
        low, high = found.spread
        met &= found.ratio <= GOAL
        print(
            f"{name:<44} {found.ours:>9.1f} {found.peer:>9.1f} ms {found.ratio:>6.3f}× ({low:.3f}–{high:.3f})   "
            f"≤ {GOAL:.2f}× {'met' if found.ratio <= GOAL else 'MISSED'}",
            flush=True,
        )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
