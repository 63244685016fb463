"""Where one part feeds another: values as by hand whatever the files declare, or the refusal that a part gives alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper, parser

import onnxhybrid as oh

LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)
Feeds = Mapping[str, np.ndarray[Any, Any]]


def by_hand(model: oh.Model, feeds: Feeds) -> dict[str, Any]:
    """What ONNX Runtime computes: where it optimizes, a file that reads a stale size of its own gets that."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[0]
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)
    known = {argument.name for argument in session.get_inputs()}
    values = session.run(None, {name: value for name, value in feeds.items() if name in known})
    return dict(zip([output.name for output in session.get_outputs()], values, strict=True))


def composed(model: oh.Model, feeds: Feeds, level: object = LEVELS[-1]) -> dict[str, Any]:
    """What a session of ours gives, so that failures have their codes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    session = oh.Session(model, sess_options=options)
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, dict(feeds)), strict=True))


def text(source: str) -> oh.Model:
    """A model from onnx's own language."""
    return oh.Model.from_proto(parser.parse_model(source))


Shape = tuple[int | str | None, ...] | None


@dataclass
class Drawn:
    """A model of a few nodes, and what it declares."""

    source: str
    target: str
    nodes: Sequence[str]
    takes: Shape
    gives: Shape
    inside: Shape
    name: str

    def model(self) -> oh.Model:
        """The model."""
        tensors = [self.source, *(f"t{n}" for n in range(len(self.nodes) - 1)), self.target]
        nodes: list[Any] = []
        for operator, one, other in zip(self.nodes, tensors, tensors[1:], strict=False):
            nodes += NODES[operator](one, other)
        graph = helper.make_graph(
            nodes,
            self.name,
            [helper.make_tensor_value_info(self.source, TensorProto.FLOAT, self.takes)],
            [helper.make_tensor_value_info(self.target, TensorProto.FLOAT, self.gives)],
            [numpy_helper.from_array(np.array(0), "zero"), numpy_helper.from_array(np.array([-1, 2]), "pairs")],
            value_info=[helper.make_tensor_value_info(name, TensorProto.FLOAT, self.inside) for name in tensors[1:-1]],
        )
        return oh.Model.from_proto(
            helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        )


def times_rows(source: str, target: str) -> list[Any]:
    """The values times the number of rows, as a mean over a batch reads it."""
    shape, rows, number = (f"{target}/{what}" for what in ("shape", "rows", "number"))
    return [
        helper.make_node("Shape", [source], [shape]),
        helper.make_node("Gather", [shape, "zero"], [rows]),
        helper.make_node("Cast", [rows], [number], to=TensorProto.FLOAT),
        helper.make_node("Mul", [source, number], [target]),
    ]


NODES = {
    "same": lambda source, target: [helper.make_node("Neg", [source], [target])],
    "twice": lambda source, target: [helper.make_node("Concat", [source, source], [target], axis=0)],
    "turned": lambda source, target: [helper.make_node("Transpose", [source], [target])],
    "flat": lambda source, target: [helper.make_node("Reshape", [source, "pairs"], [target])],
    "sum": lambda source, target: [helper.make_node("ReduceSum", [source], [target], keepdims=0)],
    "rows": times_rows,
}
SIZES: tuple[Shape, ...] = (
    None,
    ("n", 4),
    ("n", "k"),
    ("n", "n"),
    (None, None),
    (3, 4),
    (1, 4),
    ("n", 3),
    (6, "k"),
    (0, 4),
    (4,),
    ("n", 2, 2),
)  # fmt: skip
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


@st.composite
def drawn(draw: st.DrawFn, source: str, target: str, name: str) -> Drawn:
    """A model, declarations of any truth."""
    nodes = draw(st.lists(st.sampled_from([*NODES]), min_size=1, max_size=3))
    takes, gives, inside = (draw(st.sampled_from(SIZES)) for _ in range(3))
    return Drawn(source, target, nodes, takes, gives, inside, name)


CODED = ("OH201", "OH202", "OH203", "OH206", "OH222", "OH223", "OH546", "OH548")


def agree(compose: Any, hand: Any, feeds: Feeds, level: object, *, others: bool = False) -> None:
    """A composition gives what the parts give by hand, or refuses; where they refuse, it refuses."""
    try:
        want = hand()
    except Exception:  # noqa: BLE001  # ONNX Runtime's
        want = None
    try:
        got = composed(compose(), feeds, level)
    except oh.Error as error:
        assert want is None or error.code in CODED or others, error
        return
    assert want is not None, "the parts refuse by hand, and the composition gives values"
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value)


@given(a=drawn("x", "y", "a"), b=drawn("y", "z", "b"), c=drawn("z", "w", "c"), level=st.sampled_from(LEVELS))
def test_a_chain_gives_what_its_parts_give_by_hand_whatever_they_declare(
    a: Drawn, b: Drawn, c: Drawn, level: object
) -> None:
    parts = [part.model() for part in (a, b, c)]

    def hand() -> dict[str, Any]:
        values = {"x": ROWS}
        for part in parts:
            values = by_hand(part, values)
        return values

    agree(lambda: oh.chain(*parts), hand, {"x": ROWS}, level)
    agree(lambda: oh.chain(parts[0], oh.chain(*parts[1:])), hand, {"x": ROWS}, level)


def parts_alone(*parts: oh.Model) -> bool:
    """Whether each of the parts takes ROWS."""
    try:
        for part in parts:
            by_hand(part, {"x": ROWS})
    except Exception:  # noqa: BLE001  # ONNX Runtime's
        return False
    return True


SURE = oh.judge.value("y") >= -1e9
COMBINATORS = {
    "switch": lambda a, b: oh.switch("c", then=a, else_=b),
    "route": lambda a, b: oh.route("c", [b, a]),
    "cascade": lambda a, b: oh.cascade(a, b, accept=SURE),
    "cascade of rows": lambda a, b: oh.cascade(a, b, accept=SURE, rows=True),
    "fallback": lambda a, b: oh.fallback(a, b),
    "parallel": lambda a, b: oh.parallel(a=a, b=b).select(["a/y"]).rename({"a/y": "y"}),
    "ensemble": lambda a, b: oh.ensemble([a, a], combine="max"),
}


@pytest.mark.parametrize("combinator", COMBINATORS)
@given(a=drawn("x", "y", "a"), b=drawn("x", "y", "b"), level=st.sampled_from(LEVELS))
def test_what_chooses_a_model_gives_what_that_gives_by_hand(combinator: str, a: Drawn, b: Drawn, level: object) -> None:
    one, other = a.model(), b.model()
    index = np.array(True) if combinator == "switch" else np.array(1)
    feeds = {"x": ROWS} | ({"c": index} if combinator in ("switch", "route") else {})
    refused = not parts_alone(one, other)
    agree(lambda: COMBINATORS[combinator](one, other), lambda: by_hand(one, feeds), feeds, level, others=refused)
