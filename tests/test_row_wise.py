"""What is known to look at one row at a time gives the same for some rows as for all; what may not is not said to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

import onnxhybrid as oh
from onnxhybrid.model.row_wise import is_row_wise
from tests.strategies import Array, of_graph, rows

FLOAT = TensorProto.FLOAT
COUNT = 12  # rows of all inputs below


def run(model: oh.Model, feeds: dict[str, Array]) -> dict[str, Array]:
    """The outputs, by a plain session of ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.to_proto().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds), strict=True))


def constant(name: str, values: Any, kind: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


Step = tuple[str, dict[str, Any], dict[str, Any]]
"""Operator, attributes, further inputs: what is drawn at random, of which some look across rows."""

WEIGHT = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
STEPS: list[Step] = [
    ("Relu", {}, {}),
    ("Softmax", {"axis": 0}, {}),
    ("Softmax", {"axis": 1}, {}),
    ("Softmax", {"axis": -1}, {}),
    ("Hardmax", {"axis": -2}, {}),
    ("Transpose", {"perm": [0, 1, 2]}, {}),
    ("Transpose", {"perm": [1, 0, 2]}, {}),
    ("Transpose", {"perm": [0, 2, 1]}, {}),
    ("Transpose", {}, {}),
    ("Reshape", {}, {"s": [0, 4, 3]}),
    ("Reshape", {}, {"s": [-1, 3, 4]}),
    ("Reshape", {}, {"s": [-1, 4, 3]}),
    ("Reshape", {}, {"s": [-1, 12, 1]}),
    ("Reshape", {}, {"s": [-1, 6, 1]}),
    ("Reshape", {}, {"s": [3, 4, -1]}),
    ("Reshape", {}, {"s": [1, -1, 12]}),
    ("Reshape", {}, {"s": [0, 0, -1]}),
    ("Reshape", {}, {"s": [4, 0, -1]}),
    ("Add", {}, {"b": WEIGHT[:1, :1]}),
    ("Mul", {}, {"b": WEIGHT[:3, :1]}),
    ("Mul", {}, {"b": WEIGHT[:, :1, None]}),
    ("Add", {}, {"b": WEIGHT[0, 0]}),
    ("ReduceMean", {"axes": [0]}, {}),
    ("ReduceMean", {"axes": [1]}, {}),
    ("ReduceMax", {"axes": [-1]}, {}),
    ("ReduceMax", {"axes": [-3]}, {}),
    ("ReduceMean", {}, {}),
    ("MatMul", {}, {"b": WEIGHT[:4, :3]}),
    ("MatMul", {}, {"b": WEIGHT[:3, :4]}),
    ("MatMul", {}, {"b": WEIGHT}),
    ("CumSum", {}, {"axis": 0}),
    ("Flatten", {"axis": 1}, {}),
    ("Flatten", {"axis": 0}, {}),
    ("Flatten", {"axis": 2}, {}),
    ("Flatten", {"axis": -1}, {}),
    ("Flatten", {"axis": -2}, {}),
    ("Flatten", {"axis": -3}, {}),
    ("Unsqueeze", {}, {"s": [0]}),
    ("Unsqueeze", {}, {"s": [1]}),
    ("Unsqueeze", {}, {"s": [-1]}),
    ("Squeeze", {}, {"s": [0]}),
    ("Squeeze", {}, {"s": [-1]}),
    ("Squeeze", {}, {}),
    ("Gather", {"axis": 1}, {"s": [2, 0]}),
    ("Gather", {"axis": 2}, {"s": 0}),
    ("Gather", {"axis": 0}, {"s": [0, 1]}),
    ("Slice", {}, {"from": [1], "to": [3], "axes": [1]}),
    ("Slice", {}, {"from": [1], "to": [3], "axes": [0]}),
    ("Slice", {}, {"from": [1], "to": [3]}),
    ("Concat", {"axis": 0}, {}),
    ("Concat", {"axis": 1}, {}),
    ("Concat", {"axis": -1}, {}),
    ("LayerNormalization", {"axis": -1}, {"b": WEIGHT[0, 0]}),
    ("LayerNormalization", {"axis": 0}, {"b": WEIGHT[0, 0]}),
    ("LayerNormalization", {"axis": -1}, {"b": WEIGHT[:, :4, None] + WEIGHT[0, :3]}),
    ("LayerNormalization", {"axis": 1}, {"b": WEIGHT[:4, :3]}),
    ("GlobalAveragePool", {}, {}),
    ("LRN", {"size": 3}, {}),
    ("InstanceNormalization", {}, {"b": WEIGHT[0, :4], "c": WEIGHT[1, :4]}),
    ("Sum of two", {}, {}),
    ("MatMul of two", {}, {}),
    ("Gather of a table", {}, {}),
    ("ArgMax", {"axis": 0}, {}),
    ("ArgMax", {"axis": 1, "keepdims": 0}, {}),
    ("TopK", {"axis": 0}, {"s": [1]}),
    ("TopK", {"axis": -1}, {"s": [1]}),
    ("DynamicQuantizeLinear", {}, {}),
    ("Expand", {}, {"s": [COUNT, 1, 1]}),
]


def written(steps: Sequence[Step]) -> oh.Model:
    """A model of such steps, each of what the one before gave; some also of the input."""
    nodes: list[NodeProto] = []
    held: list[TensorProto] = [constant("table", WEIGHT, np.float32)]
    known = "x"
    for place, (operator, attributes, further) in enumerate(steps):
        target = f"t{place}"
        names = [f"{name}{place}" for name in further]
        kinds = (np.float32 if isinstance(value, np.ndarray | np.floating) else np.int64 for value in further.values())
        held += [constant(name, value, kind) for name, value, kind in zip(names, further.values(), kinds, strict=True)]
        name, _, of = operator.partition(" of ")
        inputs = [known, *names]
        if operator == "Concat":
            inputs = [known, known]
        elif of == "two":
            inputs = [known, "x"]
        elif of == "a table":
            nodes.append(helper.make_node("ArgMax", [known], [f"i{place}"], axis=-1))
            inputs = ["table", f"i{place}"]
        outputs = [target, f"{target}/more"] if operator == "TopK" else [target]
        outputs += [f"{target}/scale", f"{target}/zero"] if operator == "DynamicQuantizeLinear" else []
        nodes.append(helper.make_node(name, inputs, outputs, **attributes))
        nodes.append(helper.make_node("Cast", [target], [known := f"f{place}"], to=FLOAT))
    x = helper.make_tensor_value_info("x", FLOAT, ["n", 4, 3])
    y = helper.make_tensor_value_info(known, FLOAT, None)
    return of_graph(helper.make_graph(nodes, "drawn", [x], [y], held))


X = rows(COUNT, 12).reshape(COUNT, 4, 3)


def in_slices(model: oh.Model, feeds: dict[str, Array], size: int) -> list[Array]:
    parts = [
        run(model, {name: feed[first : first + size] for name, feed in feeds.items()})
        for first in range(0, COUNT, size)
    ]
    return [np.concatenate([part[name] for part in parts]) for name in parts[0]]


@settings(max_examples=400)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=5), size=st.integers(1, COUNT - 1))
def test_what_is_row_wise_gives_the_same_in_slices(steps: list[Step], size: int) -> None:
    model = written(steps)
    try:
        whole = run(model, {"x": X})
    except Exception:  # noqa: BLE001  # what was drawn fits nowhere
        assume(False)
    if is_row_wise(model.skeleton, ["x"]):
        for found, expected in zip(in_slices(model, {"x": X}, size), whole.values(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", STEPS, ids=[f"{number} {step[0]}" for number, step in enumerate(STEPS)])
def test_one_step_is_known_for_what_it_is(step: Step) -> None:
    """What gives the same in slices, whatever their size, is row-wise, but for operators that are in no table."""
    model = written([step])
    try:
        (whole,) = run(model, {"x": X}).values()
    except Exception:  # noqa: BLE001
        pytest.skip("it does not fit the input")
    parts = []
    for size in (1, 4, 6):
        try:
            parts += in_slices(model, {"x": X}, size)
        except Exception:  # noqa: BLE001  # fewer rows it does not take
            parts.append(np.zeros(0))
    alike = all(part.shape == whole.shape and np.allclose(part, whole, rtol=1e-4, atol=1e-5) for part in parts)
    assert is_row_wise(model.skeleton, ["x"]) == (alike and whole.shape[:1] == (COUNT,))


DATA, DIGITS = load_digits(return_X_y=True)
LEARNED: dict[str, Callable[[], Any]] = {
    "a linear classifier": lambda: LogisticRegression(max_iter=20),
    "a network": lambda: MLPClassifier((8,), max_iter=5),
    "trees": lambda: RandomForestClassifier(3),
    "trees that regress": lambda: RandomForestRegressor(3),
    "a line": LinearRegression,
    "a pipeline": lambda: make_pipeline(
        StandardScaler(), Normalizer(), MinMaxScaler(), LogisticRegression(max_iter=20)
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", LEARNED)
def test_what_scikit_learn_fits_is_row_wise(kind: str) -> None:
    fitted = LEARNED[kind]().fit(DATA[:300], DIGITS[:300])
    sample = DATA[:COUNT].astype(np.float32)
    proto = to_onnx(fitted, sample[:1], options={"zipmap": False} if hasattr(fitted, "classes_") else None)
    model = oh.Model.from_proto(proto)
    assert is_row_wise(model.skeleton, ["X"])
    whole = run(model, {"X": sample})
    for found, expected in zip(in_slices(model, {"X": sample}, 5), whole.values(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def convolutional() -> GraphProto:
    weights = [
        constant("shape", [-1, 1, 8, 8]),
        constant("w", np.ones((2, 1, 3, 3)) / 9, np.float32),
        constant("scale", [1, 2], np.float32),
        constant("bias", [0, 1], np.float32),
        constant("mean", [0.5, 0], np.float32),
        constant("variance", [1, 2], np.float32),
        constant("v", WEIGHT[:2], np.float32),
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "variance"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["m"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["l"]),
        helper.make_node("Dropout", ["l"], ["d"]),
        helper.make_node("Softmax", ["d"], ["y"], axis=-1),
    ]
    x, y = (helper.make_tensor_value_info(name, FLOAT, ["n", size]) for name, size in (("x", 64), ("y", 12)))
    return helper.make_graph(nodes, "convolutional", [x], [y], weights)


def test_a_convolutional_network_is_row_wise() -> None:
    model, sample = of_graph(convolutional()), rows(COUNT, 64)
    assert is_row_wise(model.skeleton, ["x"])
    (found,) = in_slices(model, {"x": sample}, 5)
    np.testing.assert_allclose(found, run(model, {"x": sample})["y"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: graph.node[2].attribute.append(helper.make_attribute("training_mode", 1)),
        lambda graph: graph.node[3].output.append("where"),
        lambda graph: graph.node[5].attribute.append(helper.make_attribute("axis", 0)),
        lambda graph: graph.node[6].attribute.append(helper.make_attribute("transA", 1)),
        lambda graph: setattr(graph.node[8], "domain", "com.microsoft"),
        lambda graph: graph.node[1].input.append("x"),
        lambda graph: graph.input.append(helper.make_tensor_value_info("shape", TensorProto.INT64, [4])),
    ],
    ids=[
        "trains",
        "places in the batch",
        "flat",
        "transposed",
        "another domain",
        "a bias of rows",
        "a shape at run time",
    ],
)
def test_what_is_not_known_is_not_said(change: Callable[[GraphProto], object]) -> None:
    proto = helper.make_model(convolutional(), opset_imports=[helper.make_opsetid("", 17)])
    change(proto.graph)
    if len(proto.graph.node[3].output) > 1:
        proto.graph.output.append(helper.make_tensor_value_info("where", TensorProto.INT64, None))
    assert not is_row_wise(proto, ["x"])


def test_a_call_to_a_server_is_not_known() -> None:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy"]
    remote = oh.remote.triton("http://127.0.0.1:9", "m", inputs=specs[:1], outputs=specs[1:])
    assert not is_row_wise(remote.skeleton, ["x"])
