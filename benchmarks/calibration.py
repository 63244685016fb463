"""What a calibration costs beside its calls: `python -m benchmarks.calibration`, or `make bench-calibration`.

The rows are run through the local model and the remote one once each, by two sessions, one after the other; then
calibrated on, with and without a record. At last a million rows are calibrated on, and the memory is looked at.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.endpoint_process import serving

ROWS, MANY = 100_000, 1_000_000
GOAL = 1.2
MOST_BYTES_OF_ROW = 400
_FEATURES, _CLASSES, _BATCH = 64, 10, 256

Array = npt.NDArray[Any]


def network(name: str, hidden: int, seed: int) -> ModelProto:
    """A network with one hidden layer: image [n, 64] -> label, and as the small one probabilities too."""
    random = np.random.default_rng(seed)
    sizes = {"first": (_FEATURES, hidden), "second": (hidden, _CLASSES)}
    weights = [
        numpy_helper.from_array(random.normal(size=size).astype(np.float32) / 8, key) for key, size in sizes.items()
    ]
    nodes = [
        helper.make_node("MatMul", ["image", "first"], ["inner"]),
        helper.make_node("Relu", ["inner"], ["active"]),
        helper.make_node("MatMul", ["active", "second"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=-1, keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", _FEATURES])]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", _CLASSES]),
    ]
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])


def drawn(rows: int) -> Iterator[Array]:
    """Rows in batches, which nothing keeps."""
    random = np.random.default_rng(0)
    for start in range(0, rows, _BATCH):
        yield random.normal(size=(min(_BATCH, rows - start), _FEATURES)).astype(np.float32)


def once_each(local: oh.Model, remote: oh.Model, rows: int, size: int) -> None:
    """Run local on all rows, and remote on all rows."""
    for model in (local, remote):
        session = oh.Session(model)
        for batch in drawn(rows):
            for start in range(0, len(batch), size):
                session.run(["label"], {"image": batch[start : start + size]})


def calibrated(hybrid: oh.Model, rows: int, **options: Any) -> None:
    """Calibrate on all rows."""
    oh.calibrate(hybrid, drawn(rows), progress=False, **options)


def timed(work: Callable[[], object]) -> float:
    """The seconds that work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def compare(local: oh.Model, remote: oh.Model, rows: int, *, by_row: bool, folder: Path, rounds: int) -> bool:
    """Print a line for a calibration with and without a record; whether the goal was met."""
    judge = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    hybrid = oh.cascade(local, remote, accept=judge, rows=by_row)
    name = "many rows a call" if by_row else "a row a call"
    calibrated(hybrid, 500)  # what is imported when it is first needed is no cost of the rows
    ratios: dict[str, list[float]] = {"": [], ", with a record": []}
    for number in range(rounds):
        base = timed(lambda: once_each(local, remote, rows, _BATCH if by_row else 1))
        record = folder / f"{name}-{number}"
        ratios[""].append(timed(lambda: calibrated(hybrid, rows)) / base)
        ratios[", with a record"].append(timed(lambda: calibrated(hybrid, rows, record=record)) / base)  # noqa: B023
    met = True
    for kind, found in ratios.items():
        best = sorted(found)[len(found) // 2]
        met &= best <= GOAL
        shown = ", ".join(f"{ratio:.2f}" for ratio in found)
        print(f"{rows:>9} rows, {name + kind:<36} {best:>6.2f} x once each ({shown}), goal {GOAL}", flush=True)
    return met


def many(local: oh.Model, remote: oh.Model, rows: int, folder: Path) -> bool:
    """Print what memory so many rows take, with a record; whether the goal was met."""
    judge = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    hybrid = oh.cascade(local, remote, accept=judge, rows=True)
    calibrated(hybrid, rows // 20)
    before = peak()
    seconds = timed(lambda: calibrated(hybrid, rows, record=folder / "many"))
    each = (peak() - before) / rows
    print(f"{rows:>9} rows: {seconds:.0f} s, {each:.0f} bytes of memory a row, goal {MOST_BYTES_OF_ROW}")
    return each <= MOST_BYTES_OF_ROW


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--many", type=int, default=MANY)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local, large = (oh.Model.from_proto(network(*each)) for each in (("small", 32, 1), ("large", 512, 2)))
        with serving(folder, {"large": large}) as server:
            remote = oh.remote.triton(server.url, "large")
            met = [
                compare(local, remote, options.rows, by_row=True, folder=folder, rounds=options.rounds),
                compare(local, remote, options.rows // 5, by_row=False, folder=folder, rounds=options.rounds),
                many(local, remote, options.many, folder),
            ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
