"""What a judge costs where it accepts: `python -m benchmarks.judge`.

A small classifier answers one row; its cascade, whose remote is never asked, answers the same one. Both run in plain
ONNX Runtime, in one thread, in turns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from benchmarks.measure import Call, compare, p50

_PIXELS, _CLASSES = 64, 10
_X = np.random.default_rng(0).random((1, _PIXELS), np.float32)


def classifier() -> oh.Model:
    """From image (n, 64) to label (n) and probabilities (n, 10)."""
    nodes = [
        helper.make_node("Gemm", ["image", "weight", "bias"], ["logits"], name="gemm"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="softmax", axis=-1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], name="argmax", axis=-1, keepdims=0),
    ]
    random = np.random.default_rng(1)
    weights = {"weight": random.normal(size=(_PIXELS, _CLASSES)), "bias": random.normal(size=_CLASSES)}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", _PIXELS])],
        [spec.to_value_info() for spec in _ANSWERS],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


_ANSWERS = [
    oh.TensorSpec("label", "int64", ("n",)),
    oh.TensorSpec("probabilities", "float32", ("n", _CLASSES)),
]


@dataclass(frozen=True)
class Case:
    """One row of the table: a judge that accepts, what a cascade is asked for, and the ratio that is aimed at."""

    name: str
    judge: oh.Model
    goal: float | None = None
    options: dict[str, bool] = field(default_factory=dict)


def cases() -> Iterator[Case]:
    """Every score, and what else a cascade can do."""
    sure = oh.judge.max_probability("probabilities") >= 0.01
    yield Case("max_probability ≥ t", sure, 1.6)
    yield Case("the same, rows=True", sure, 1.9, {"rows": True})
    yield Case("the same, report=True", sure, None, {"report": True})
    yield Case("t is an input", oh.judge.max_probability("probabilities") >= oh.Input("t", default=0.01), 1.6)
    yield Case("logit_max ≥ t", oh.judge.logit_max("probabilities") >= 0.01)
    yield Case("margin ≥ t", oh.judge.margin("probabilities") >= 0.0)
    yield Case("entropy ≤ t", oh.judge.entropy("probabilities") <= 9.0)
    yield Case("max_probability of logits ≥ t", oh.judge.max_probability("probabilities", softmax=True) >= 0.01)
    yield Case("value ≥ t", oh.judge.value("probabilities") >= 0.0)
    yield Case("equals", ~oh.judge.equals("label", -1))
    yield Case("size of an axis ≥ t", oh.judge.length("probabilities", axis=0) >= 1)
    yield Case("max_probability & margin", sure & (oh.judge.margin("probabilities") >= 0.0))
    yield Case("max_probability | margin", sure | (oh.judge.margin("probabilities") >= 0.0))


def run(model: oh.Model) -> Call:
    """One run of a model in plain ONNX Runtime."""
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.register_custom_ops_library(oh.library_path())
    proto = model.to_proto().SerializeToString()
    session = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    feeds = {"image": _X}
    return lambda: session.run(None, feeds)


def main() -> int:
    """Measure and print a table; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each case is measured (7)")
    parser.add_argument("--calls", type=int, default=1000, help="how many calls of each make one round (1000)")
    given = parser.parse_args()
    small = classifier()
    cloud = oh.remote.triton("http://127.0.0.1:9", "large", inputs=small.inputs, outputs=_ANSWERS)
    alone = run(small)
    print(f"{'accepted':<30} {'cascade':>9} {'alone':>8} µs   ratio   goal")
    met = []
    for case in cases():
        found = compare(
            p50(given.calls), run(oh.cascade(small, cloud, case.judge, **case.options)), alone, rounds=given.rounds
        )
        met.append(case.goal is None or found.ratio <= case.goal)
        goal = "" if case.goal is None else f"≤ {case.goal:.2f}× {'met' if met[-1] else 'MISSED'}"
        print(f"{case.name:<30} {found.ours * 1e3:>9.1f} {found.peer * 1e3:>8.1f}      {found.ratio:.2f}×   {goal}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
