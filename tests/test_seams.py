"""Where one part feeds another: values as by hand whatever the files declare, or the refusal of a part alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, parser

import onnxhybrid as oh

LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)
Feeds = Mapping[str, np.ndarray[Any, Any]]


def by_hand(model: oh.Model, feeds: Feeds) -> dict[str, Any]:
    """What ONNX Runtime computes, and which inputs it refuses, whatever else the file declares.

    Of a file that contradicts itself ONNX Runtime may load nothing, or give a stale size to a node that reads it.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[0]
    options.log_severity_level = 4
    proto = model.to_proto()
    del proto.graph.value_info[:]
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
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
        return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


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
Combine = Callable[[oh.Model, oh.Model], oh.Model]
COMBINATORS: dict[str, Combine] = {
    "switch": lambda a, b: oh.switch("c", then=a, else_=b),
    "route": lambda a, b: oh.route("c", [b, a]),
    "cascade": lambda a, b: oh.cascade(a, b, accept=SURE),
    "cascade of rows": lambda a, b: oh.cascade(a, b, accept=SURE, rows=True),
    "fallback": oh.fallback,
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


# guards -----------------------------------------------------------------------------------------------------------

DTYPES = ("float32", "float64", "float16", "int64", "int32", "int8", "uint8", "uint64", "bool", "str")


def _given_back(dtype: str, opset: int = 17) -> oh.Model:
    """`y` is `x`, of a shape of which nothing is known."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    values = [oh.TensorSpec(name, dtype, None).to_value_info() for name in "xy"]
    return _of(helper.make_graph(nodes, "first", values[:1], values[1:]), opset)


def _taking(dtype: str, shape: Shape, opset: int = 17) -> oh.Model:
    nodes = [helper.make_node("Shape", ["y"], ["z"])]
    given, shown = oh.TensorSpec("y", dtype, shape), oh.TensorSpec("z", "int64", None)
    return _of(helper.make_graph(nodes, "second", [given.to_value_info()], [shown.to_value_info()]), opset)


def _of(graph: Any, opset: int) -> oh.Model:
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", LEVELS)
def test_a_shape_that_a_part_refuses_alone_is_refused_behind_another_part(dtype: str, level: object) -> None:
    chained = oh.chain(_given_back(dtype), _taking(dtype, ("n", 4)))
    taken: tuple[tuple[int, ...], ...] = ((3, 4), (0, 4), (1, 4))
    refused: tuple[tuple[int, ...], ...] = ((4, 3), (4,), (), (1, 3, 4), (2, 2, 2), (0, 5), (8,))
    for shape in taken:
        np.testing.assert_array_equal(composed(chained, {"x": _blank(shape, dtype)}, level)["z"], shape)
    for shape in refused:
        with pytest.raises(oh.Error) as caught:
            composed(chained, {"x": _blank(shape, dtype)}, level)
        assert caught.value.code == "OH548"
        assert "'y' of the part 'first'" in str(caught.value)
        assert "'second', which takes" in str(caught.value)


def _blank(shape: tuple[int, ...], dtype: str) -> Any:
    return np.full(shape, "", object) if dtype == "str" else np.zeros(shape, dtype)


@given(
    wanted=st.lists(st.sampled_from([None, 0, 1, 2, 3]), min_size=1, max_size=3),
    shape=st.lists(st.integers(0, 3), max_size=3),
    level=st.sampled_from(LEVELS),
    opset=st.sampled_from([7, 8, 9, 13, 21]),
)
def test_a_guard_takes_what_onnx_runtime_takes(
    wanted: list[int | None], shape: list[int], level: object, opset: int
) -> None:
    first, second = _given_back("float32", opset), _taking("float32", tuple(wanted), opset)
    feeds = {"x": np.zeros(shape, np.float32)}
    agree(lambda: oh.chain(first, second), lambda: by_hand(second, {"y": feeds["x"]}), feeds, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "behind",
    [
        "s = Constant<value=int64[1]{6}>() z = Reshape(y, s)",
        "s = Constant<value=int64[2]{3,2}>() r = Reshape(y, s) t = Constant<value=int64[1]{6}>() z = Reshape(r, t)",
        "i = Identity(y) s = Constant<value=int64[1]{6}>() z = Reshape(i, s)",
        "o = Constant<value=float{1}>() m = Mul(y, o) s = Constant<value=int64[1]{6}>() z = Reshape(m, s)",
        "z = Flatten<axis=0>(y)",
        "s = Constant<value=int64[1]{0}>() z = Unsqueeze(y, s)",
        "s = Constant<value=int64[2]{2,3}>() z = Expand(y, s)",
    ],
)
def test_no_optimization_takes_a_guard_out_before_another_reshape(behind: str, level: object) -> None:
    first = text("a (float[a,b] x) => (float[c,d] y) { y = Neg(x) }")
    second = text(f"b (float[2,3] y) => (float[k] z) {{ {behind} }}")
    hybrid = oh.chain(first, second)
    assert composed(hybrid, {"x": np.zeros((2, 3), np.float32)}, level)["z"].size == 6
    with pytest.raises(Exception, match="OH548"):
        composed(hybrid, {"x": np.zeros((3, 2), np.float32)}, level)


@pytest.mark.parametrize("level", LEVELS)
def test_a_guard_of_a_rank_alone_gives_the_tensor(level: object) -> None:
    first = text(
        "a (int32 n) => (float[k] y) { f = Cast<to=1>(n) z = Constant<value=float{0}>() "
        "o = Constant<value=float{1}>() y = Range(z, f, o) }"
    )
    second = text("b (float[j] y) => (float[j] w) { w = Identity(y) }")
    given = composed(oh.chain(first, second), {"n": np.array(4, np.int32)}, level)["w"]
    np.testing.assert_array_equal(given, [0, 1, 2, 3])


def test_a_guard_is_there_only_where_a_run_has_to_show_the_size() -> None:
    first = text('<ir_version:8, opset_import:["":17]> a (float[n,4] x) => (float[n,4] y) { y = Neg(x) }')
    for takes, guarded in (("n,4", False), ("n,m", False), ("3,4", True)):
        second = text(
            f'<ir_version:8, opset_import:["":17]> b (float[{takes}] y) => (float[{takes}] z) {{ z = Exp(y) }}'
        )
        nodes = [node.op_type for node in oh.chain(first, second).to_proto().graph.node]
        assert (nodes == ["Neg", "Exp"]) is not guarded


def test_sizes_that_are_sure_to_differ_are_refused_when_composing_and_stale_ones_are_not() -> None:
    first = text('<ir_version:8, opset_import:["":17]> a (float[n,4] x) => (float[n,3] y) { y = Neg(x) }')
    fits = text('<ir_version:8, opset_import:["":17]> b (float[n,4] y) => (float[n,4] z) { z = Exp(y) }')
    differs = text('<ir_version:8, opset_import:["":17]> b (float[n,3] y) => (float[n,3] z) { z = Exp(y) }')
    np.testing.assert_allclose(composed(oh.chain(first, fits), {"x": ROWS})["z"], np.exp(-ROWS), 1e-6)
    with pytest.raises(oh.ComposeError, match=r"OH202.*float32\[n, 4\], not float32\[n, 3\]"):
        oh.chain(first, differs)


def test_a_consumed_output_that_is_kept_says_nothing_stale_to_the_part_behind_it() -> None:
    first = text('<ir_version:8, opset_import:["":17]> a (float[N,4] x) => (float[1,4] y) { t = Relu(x) y = Neg(t) }')
    second = text('<ir_version:8, opset_import:["":17]> b (float[n,4] y) => (int64[2] z) { z = Shape(y) }')
    np.testing.assert_array_equal(composed(oh.chain(first, second, keep=["y"]), {"x": ROWS})["z"], [3, 4])


def test_a_remote_answer_is_held_to_what_is_declared_of_it() -> None:
    taken = oh.TensorSpec("x", "float32", ("n", 4))
    stale = text('<ir_version:8, opset_import:["":17]> e (float[n,4] x) => (float[n,4] y) { y = Neg(x) }')
    mean = text(
        '<ir_version:8, opset_import:["":17]> b (float[n,4] y) => (float[n,4] z) '
        "{ s = Shape<end=1>(y) f = Cast<to=1>(s) z = Div(y,f) }"
    )
    with oh.endpoint.serve({"m": stale}) as served:
        for shape, code in ((("n", 4), None), ((3, 4), None), ((1, 4), "OH5"), (("n", 3), "OH202")):
            remote = oh.remote.triton(served.url, "m", inputs=[taken], outputs=[oh.TensorSpec("y", "float32", shape)])
            if code is None:
                np.testing.assert_allclose(composed(oh.chain(remote, mean), {"x": ROWS})["z"], -ROWS / 3)
                continue
            with pytest.raises(oh.Error, match=code):
                composed(oh.chain(remote, mean), {"x": ROWS})


def test_a_replacement_is_held_to_its_inputs_and_says_nothing_stale_to_what_is_behind_it() -> None:
    whole = text(
        '<ir_version:8, opset_import:["":17]> w (float[n,4] x) => (int64[2] z, float[n,4] u) '
        "<float[n,4] h, float[n,4] g> "
        "{ h = Neg(x) g = Exp(h) u = Relu(g) z = Shape(g) }"
    )
    narrow = text('<ir_version:8, opset_import:["":17]> r (float[3,4] h) => (float[1,4] g) { g = Abs(h) }')
    spliced = oh.splice(whole, ["h"], ["g"], narrow)
    np.testing.assert_array_equal(composed(spliced, {"x": ROWS})["z"], [3, 4])
    with pytest.raises(oh.Error, match="OH548"):
        composed(spliced, {"x": ROWS[:2]})


def test_a_guard_tells_resize_how_many_sizes_there_are() -> None:
    sizes = text('<ir_version:8, opset_import:["":17]> a (int64[k] s) => (int64[k] z) { z = Abs(s) }')
    resized = text(
        '<ir_version:8, opset_import:["":17]> b (int64[4] z, float[a,b,c,d] x) => (float[e,f,g,h] y) '
        '{ y = Resize<mode="nearest">(x,,,z) }'
    )
    feeds = {"s": np.array([1, 1, 6, 8]), "x": ROWS.reshape(1, 1, 3, 4)}
    chained = oh.chain(sizes, resized)
    for level in LEVELS:
        assert composed(chained, feeds, level)["y"].shape == (1, 1, 6, 8)
        with pytest.raises(oh.Error, match="OH548"):
            composed(chained, {**feeds, "s": feeds["s"][:3]}, level)


def test_a_size_that_no_operator_of_the_opset_compares_is_refused_when_composing() -> None:
    first, second = _given_back("float32", 6), _taking("float32", ("n", 4), 6)
    with pytest.raises(oh.ComposeError, match=r"OH202.*opset 6"):
        oh.chain(first, second)


# outputs that are inputs, and weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("combinator", COMBINATORS)
@pytest.mark.parametrize("given_back", ["float[n,4] x", "float[2] w"])
def test_an_output_that_is_an_input_or_a_weight_is_an_output_of_what_chooses(combinator: str, given_back: str) -> None:
    weight = "<float[2] w = {1,2}> " if "w" in given_back else ""
    if weight and "rows" in combinator:
        pytest.skip("a weight has no rows")
    one, other = (
        text(
            f'<ir_version:8, opset_import:["":17]> {operator} (float[n,4] x) => ({given_back}, float[n,4] y) '
            f"{weight}{{ y = {operator}(x) }}"
        )
        for operator in ("Neg", "Exp")
    )
    index = np.array(True) if combinator == "switch" else np.array(1)
    feeds = {"x": ROWS} | ({"c": index} if combinator in ("switch", "route") else {})
    got, want = composed(COMBINATORS[combinator](one, other), feeds), by_hand(one, {"x": ROWS})
    assert [*got] == ["y"] if combinator == "parallel" else [*want]
    for name, value in got.items():
        np.testing.assert_array_equal(value, want[name])


def test_a_condition_or_an_index_of_several_elements_is_refused_when_composing() -> None:
    one, other = (
        text(f'<ir_version:8, opset_import:["":17]> {name} (float[n,4] x) => (float[n,4] y) {{ y = {name}(x) }}')
        for name in ("Neg", "Exp")
    )
    sizes = text('<ir_version:8, opset_import:["":17]> s (float[n,4] x) => (int64[k] i) { i = Shape(x) }')
    some = text(
        '<ir_version:8, opset_import:["":17]> s (float[n,4] x) => (bool[k] c) { i = Shape(x) c = Cast<to=9>(i) }'
    )
    with pytest.raises(oh.ComposeError, match="OH207"):
        oh.switch(some, one, other)
    with pytest.raises(oh.ComposeError, match="OH212"):
        oh.route(sizes, [one, other])
