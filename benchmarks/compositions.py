"""One composition, in a process of its own: `python -m benchmarks.compositions ours|peer FOLDER`.

It loads `a.onnx` and `b.onnx` of the folder, feeds the first to the second, saves the result in the folder and prints
seconds and peak memory as JSON. What is imported and warmed up before the clock runs is the same for both.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, TensorProto, compose, helper, numpy_helper

import onnxhybrid as oh

WIDTH = 256
Steps = tuple[Callable[[Path], Any], Callable[[Any, Any], Any], Callable[[Any, Path], None]]


def layered(name: str, nodes: int) -> onnx.ModelProto:
    """A model of so many nodes, as exporters write them: layers of MatMul, Add and Relu over a few shared weights."""
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.random((WIDTH, WIDTH), np.float32), f"weight{n}") for n in range(4)]
    weights += [numpy_helper.from_array(rng.random(WIDTH, np.float32), f"bias{n}") for n in range(4)]
    graph = _graph(name, weights)
    for number in range(nodes):
        inputs = [f"t{number}" if number else "x"]
        operator = ("MatMul", "Add", "Relu")[number % 3]
        if operator != "Relu":
            inputs.append(f"{'weight' if operator == 'MatMul' else 'bias'}{number % 4}")
        output = f"t{number + 1}" if number + 1 < nodes else "y"
        graph.node.append(helper.make_node(operator, inputs, [output], name=f"{operator}_{number}"))
    return _model(graph)


def heavy(name: str, megabytes: int) -> onnx.ModelProto:
    """A model with weights of this size, 16 MB each."""
    rng = np.random.default_rng(0)
    rows = (16 << 20) // (4 * WIDTH)
    weights = [
        numpy_helper.from_array(rng.random((rows, WIDTH), np.float32), f"weight{n}") for n in range(megabytes // 16)
    ]
    return _looking_up(name, weights)


def beside(name: str, gigabytes: int, folder: Path) -> onnx.ModelProto:
    """A model whose weights lie beside it, in a file of this size that is a hole but for each weight's last element."""
    rows = (1 << 30) // (4 * WIDTH)
    weights = []
    with (folder / f"{name}.bin").open("wb") as file:
        for number in range(gigabytes):
            weight = TensorProto(name=f"weight{number}", data_type=TensorProto.FLOAT, dims=[rows, WIDTH])
            weight.data_location = TensorProto.EXTERNAL
            for key, value in (("location", f"{name}.bin"), ("offset", number << 30), ("length", 1 << 30)):
                weight.external_data.add(key=key, value=str(value))
            weights.append(weight)
            file.seek((number + 1 << 30) - 2)
            file.write(b"\x80\x3f")  # the last element is 1.0
    return _looking_up(name, weights)


def _looking_up(name: str, weights: list[TensorProto]) -> onnx.ModelProto:
    """Each weight gives its last row, and all rows are added to the input."""
    graph = _graph(name, weights)
    graph.initializer.append(numpy_helper.from_array(np.array([weights[0].dims[0] - 1]), "last"))
    sums = ["x", *(f"sum{n}" for n in range(len(weights) - 1)), "y"]
    for number, weight in enumerate(weights):
        graph.node.append(helper.make_node("Gather", [weight.name, "last"], [f"row{number}"]))
        graph.node.append(helper.make_node("Add", [sums[number], f"row{number}"], [sums[number + 1]]))
    return _model(graph)


def _graph(name: str, weights: list[TensorProto]) -> GraphProto:
    x, y = (helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, WIDTH]) for tensor in "xy")
    return helper.make_graph([], name, [x], [y], weights)


def _model(graph: GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def _merged(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    return compose.merge_models(first, second, [("y", "x")], prefix1="a/", prefix2="b/")


CONTESTANTS: dict[str, Steps] = {
    "ours": (
        oh.load,
        lambda first, second: oh.chain(first, second, connect={"x": "y"}),
        lambda model, path: model.save(path),
    ),
    "peer": (onnx.load, _merged, onnx.save),
}


def measured(contestant: str, folder: Path) -> dict[str, float]:
    """Compose the folder's two models: seconds of composing alone and of all, and this process's peak in MB."""
    load, join, save = CONTESTANTS[contestant]
    join(*(oh.Model.from_proto(m) if contestant == "ours" else m for m in (layered("a", 3), layered("b", 3))))
    start = time.perf_counter()
    first, second = load(folder / "a.onnx"), load(folder / "b.onnx")
    loaded = time.perf_counter()
    model = join(first, second)
    joined = time.perf_counter()
    save(model, folder / f"{contestant}.onnx")
    return {"compose": joined - loaded, "all": time.perf_counter() - start, "peak": _peak()}


def _peak() -> float:
    """The peak of this process's memory in MB; what getrusage says may be its parent's."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], Path(sys.argv[2]))))
