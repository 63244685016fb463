"""Sound models that hostile ones are made of."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

import onnxhybrid as oh

FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64


def value(name: str, kind: int = FLOAT, shape: list[int | str | None] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def wrapped(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[TensorProto] | None = None,
    opsets: dict[str, int] | None = None,
) -> ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights or [])
    imports = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": 17}).items()]
    return helper.make_model(graph, ir_version=8, opset_imports=imports)


def dense() -> ModelProto:
    weight = numpy_helper.from_array(np.ones((24, 24), np.float32), "w")
    bias = numpy_helper.from_array(np.ones(24, np.float32), "b")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="m"),
        helper.make_node("Add", ["h", "b"], ["a"], name="add"),
        helper.make_node("Softmax", ["a"], ["y"], name="s", axis=-1),
    ]
    return wrapped(nodes, [value("x", shape=["n", 24])], [value("y", shape=["n", 24])], [weight, bias])


def branching() -> ModelProto:
    branches = [
        helper.make_graph([helper.make_node(op, ["x"], [f"t{op}"])], op, [], [value(f"t{op}")])
        for op in ("Relu", "Neg")
    ]
    node = helper.make_node("If", ["c"], ["y"], name="if", then_branch=branches[0], else_branch=branches[1])
    return wrapped([node], [value("x", shape=["n"]), value("c", BOOL, [])], [value("y")])


def looping() -> ModelProto:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes"]),
            helper.make_node("Add", ["v", "v"], ["w"]),
        ],
        "body",
        [value("i", INT64, []), value("go", BOOL, []), value("v", shape=["n"])],
        [value("goes", BOOL, []), value("w", shape=["n"])],
    )
    count = numpy_helper.from_array(np.array(3, np.int64), "count")
    node = helper.make_node("Loop", ["count", "", "x"], ["y"], name="loop", body=body)
    return wrapped([node], [value("x", shape=["n"])], [value("y", shape=["n"])], [count])


def calling() -> ModelProto:
    """Functions, one of which calls the other."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    proto = wrapped(
        [helper.make_node("Outer", ["x"], ["y"], domain="f")],
        [value("x", shape=["n"])],
        [value("y", shape=["n"])],
        opsets={"": 17, "f": 1},
    )
    inner = helper.make_node("Inner", ["a"], ["b"], domain="f")
    proto.functions.append(helper.make_function("f", "Outer", ["a"], ["b"], [inner], imports))
    relu = helper.make_node("Relu", ["a"], ["b"])
    proto.functions.append(helper.make_function("f", "Inner", ["a"], ["b"], [relu], imports))
    return proto


def remote() -> ModelProto:
    x, y = oh.TensorSpec("x", "float32", ("n", 24)), oh.TensorSpec("y", "float32", ("n", 24))
    far = oh.remote.triton("http://127.0.0.1:9", "m", inputs=[x], outputs=[y], name="far")
    near = oh.Model.from_proto(dense())
    return oh.cascade(near, far, accept=oh.judge.max_probability("y") >= 0.5, rows=True).to_proto()


def classical() -> ModelProto:
    nodes = [
        helper.make_node(
            "LabelEncoder", ["x"], ["l"], domain="ai.onnx.ml", keys_int64s=[1, 2], values_floats=[1.0, 2.0]
        ),
        helper.make_node("Scaler", ["l"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0]),
    ]
    return wrapped(nodes, [value("x", INT64, ["n", 1])], [value("y", shape=["n", 1])], opsets={"": 17, "ai.onnx.ml": 2})


def old() -> ModelProto:
    nodes = [
        helper.make_node("Squeeze", ["x"], ["a"], axes=[0]),
        helper.make_node("Dropout", ["a"], ["d"], ratio=0.5),
        helper.make_node("Unsqueeze", ["d"], ["y"], axes=[0]),
    ]
    return wrapped(nodes, [value("x", shape=[1, 4])], [value("y", shape=[1, 4])], opsets={"": 11})


BASES = (dense, branching, looping, calling, remote, classical, old)
