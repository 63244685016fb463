"""Hypothesis strategies for models, for what they are fed and for judges: to test combinators, one's own included.

A composed model equals its parts run by hand; these draw the parts. Install the extra `testing` to use them.

>>> from hypothesis import given
>>> from hypothesis import strategies as st
>>> from onnxhybrid.testing.strategies import feeds, models
>>> @given(st.data())
... def test_a_model_in_a_chain_of_two_is_itself(data):
...     x, y, z = (oh.TensorSpec(name, "float32", ("n", 3)) for name in "xyz")
...     a, b = data.draw(models([x], [y])), data.draw(models([y], [z]))
...     given = data.draw(feeds(a))
...     (middle,) = oh.Session(a).run(None, given)
...     assert_equal(oh.Session(oh.chain(a, b)).run(None, given), oh.Session(b).run(None, {"y": middle}))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from onnxhybrid.compose import judge
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.dtypes import elem_type, numpy_dtype
from onnxhybrid.model.tensor_spec import Shape

try:
    from hypothesis import strategies as st
except ImportError as problem:
    raise ImportError("onnxhybrid.testing.strategies needs Hypothesis: pip install 'onnxhybrid[testing]'") from problem

DTYPES = ("float32", "float64", "float16", "int64", "int32", "uint8", "bool", "str")
"""The element types of drawn tensors."""

SHAPES: tuple[Shape, ...] = (("n", 3), ("n",), (None, 2), ("rows", "k"), ("n", 2, 0), (0, 3), (2, 1), ())
"""The shapes of drawn models: named, unknown, zero and no sizes."""

NAMES = ("x", "y", "t0", "a/b", "x y", "größe", "0", "score", "weight", "If", "accepted")
"""The names of drawn inputs and outputs."""

_OPSETS = (13, 15, 17, 18, 21)
_DOMAIN = "testing"
_MOST_ROWS = 4
_STRINGS = ("", "a", "ß", "long " * 9)

_UNARY = {
    "float32": ("Neg", "Abs", "Relu", "Identity"),
    "float64": ("Neg", "Abs", "Identity"),
    "float16": ("Neg", "Abs", "Identity"),
    "int64": ("Neg", "Abs", "Identity"),
    "int32": ("Neg", "Abs", "Identity"),
    "uint8": ("Identity",),
    "bool": ("Not", "Identity"),
    "str": ("Identity",),
}


@st.composite
def models(
    draw: st.DrawFn, inputs: Sequence[TensorSpec] | None = None, outputs: Sequence[TensorSpec] | None = None
) -> Model:
    """Models of standard operators that keep the shape, and each row by itself.

    They have weights, If, Loop, model-local functions, inputs with defaults (where `inputs` are not given), and inner
    tensors that are called alike in all of them; the opset varies.

    Args:
        draw: given by Hypothesis.
        inputs: what they take; None for any. All inputs and outputs have shapes of one rank that fit each other.
        outputs: what they give; None for any.

    >>> models([oh.TensorSpec("x", "str", ("n",))], [oh.TensorSpec("y", "str", ("n",))]).example()  # doctest: +SKIP
    """
    shape = _shape(inputs, outputs) or draw(st.sampled_from(SHAPES))
    names = draw(st.permutations(NAMES))
    free = iter(name for name in names if name not in {spec.name for spec in (*(inputs or ()), *(outputs or ()))})
    optional: list[TensorSpec] = []
    if inputs is None:
        inputs = [TensorSpec(next(free), draw(st.sampled_from(DTYPES)), shape) for _ in range(draw(st.integers(1, 2)))]
        optional = inputs[1:] if all(isinstance(size, int) for size in shape) else []
    maker = _Maker(draw, inputs)
    for spec in optional:
        maker.default(spec, draw(_arrays(spec.dtype, spec.shape or ())))
    for _ in range(draw(st.integers(0, 4))):
        maker.step()
    if outputs is None:
        outputs = [maker.any_output(next(free), shape) for _ in range(draw(st.integers(1, 2)))]
    for spec in outputs:
        maker.give(spec)
    return maker.model(draw(st.sampled_from(("g", "model", "t0"))), inputs, outputs)


def feeds(model: Model, *, rows: int | None = None) -> st.SearchStrategy[dict[str, npt.NDArray[Any]]]:
    """What a model can be fed: small numbers and short texts; inputs with a default may be left out.

    Args:
        model: the model. A size that has a name is the same in all inputs; so is one that is unknown, along its axis.
        rows: the first size, where it is not fixed; None for any.

    >>> feeds(oh.load("small.onnx"), rows=2).example()  # doctest: +SKIP
    """
    return _feeds(model, rows)


@st.composite
def _feeds(draw: st.DrawFn, model: Model, rows: int | None) -> dict[str, npt.NDArray[Any]]:
    sizes: dict[object, int] = {}
    given = {}
    for spec in model.inputs:
        if spec.optional and draw(st.booleans()):
            continue
        shape = []
        for axis, size in enumerate(spec.shape or ()):
            key = axis if size is None else size
            wanted = rows if axis == 0 and rows is not None else draw(st.integers(0, _MOST_ROWS))
            shape.append(size if isinstance(size, int) else sizes.setdefault(key, wanted))
        given[spec.name] = draw(_arrays(spec.dtype, tuple(shape)))
    return given


def judges(output: TensorSpec) -> st.SearchStrategy[Model]:
    """Judges that read an output of a local model: a verdict for each element, or for each row of so many classes.

    >>> judges(oh.TensorSpec("probs", "float32", ("n", 10))).example()  # doctest: +SKIP
    """
    own = st.sampled_from((0.0, 1.0, 2.0)).map(lambda limit: _judge(output, limit))
    classes = output.shape[-1] if output.shape and len(output.shape) > 1 else None
    if output.dtype != "float32" or not isinstance(classes, int) or not classes:
        return own
    limits = st.sampled_from((0.0, 0.5, 1.0))  # above 1 nothing is accepted, which a cascade refuses
    ours: st.SearchStrategy[Model] = limits.map(lambda limit: judge.max_probability(output.name) >= limit)
    return own | ours


def _judge(output: TensorSpec, limit: float) -> Model:
    """Whether elements are above a limit; of texts, whether they are another one than the empty text."""
    texts = output.dtype == "str"
    value = np.array("", object) if texts else np.array(limit, np.float32)
    nodes = [_node("Cast", ["given"], "number", to=TensorProto.FLOAT), _node("Greater", ["number", "limit"], "verdict")]
    if texts:
        nodes = [_node("Equal", ["given", "limit"], "equal"), _node("Not", ["equal"], "verdict")]
    nodes[0].input[0] = output.name
    verdict = TensorSpec("verdict" if output.name != "verdict" else "verdict_1", "bool", output.shape)
    nodes[1].output[0] = verdict.name
    weights = [numpy_helper.from_array(value, "limit" if output.name != "limit" else "limit_1")]
    nodes[0 if texts else 1].input[1] = weights[0].name
    return _model([output], [verdict], nodes, weights, [], 19 if texts else 13, "judge")


def _arrays(dtype: str, shape: Sequence[Any]) -> st.SearchStrategy[npt.NDArray[Any]]:
    elements: st.SearchStrategy[Any] = st.integers(0 if dtype == "uint8" else -3, 3)
    if dtype in ("str", "bool"):
        elements = st.sampled_from(_STRINGS) if dtype == "str" else st.booleans()
    count = int(np.prod(shape, dtype=int))
    listed = st.lists(elements, min_size=count, max_size=count)
    return listed.map(lambda values: np.array(values, numpy_dtype(dtype)).reshape(shape))


def _shape(inputs: Sequence[TensorSpec] | None, outputs: Sequence[TensorSpec] | None) -> Shape | None:
    return next((spec.shape for spec in (*(inputs or ()), *(outputs or ()))), None)


class _Maker:
    """A graph in the making: tensors of one shape, by name with their dtypes."""

    def __init__(self, draw: st.DrawFn, inputs: Sequence[TensorSpec]) -> None:
        self._draw = draw
        self._tensors = {spec.name: spec.dtype for spec in inputs}
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._functions: dict[str, FunctionProto] = {}
        self._opset = draw(st.sampled_from(_OPSETS))

    def step(self) -> None:
        """Add a node that reads one of the tensors."""
        source = self._draw(st.sampled_from(sorted(self._tensors)))
        makers: tuple[Callable[[str, str], str], ...] = (self._unary, self._scaled, self._cast, self._chosen)
        make = self._draw(st.sampled_from((*makers, self._looped, self._called)))
        target = self._fresh("t")
        self._tensors[target] = make(source, target)

    def default(self, spec: TensorSpec, value: npt.NDArray[Any]) -> None:
        """Let an input be left out."""
        self._weights.append(numpy_helper.from_array(value, spec.name))

    def any_output(self, name: str, shape: Shape) -> TensorSpec:
        """The description of an output that one of the tensors can be."""
        return TensorSpec(name, self._draw(st.sampled_from(sorted(set(self._tensors.values())))), shape)

    def give(self, spec: TensorSpec) -> None:
        """Write an output: one of the tensors of its dtype, or one that is cast."""
        fitting = sorted(name for name, dtype in self._tensors.items() if dtype == spec.dtype)
        numbers = sorted(name for name, dtype in self._tensors.items() if dtype != "str")
        source = self._draw(st.sampled_from(fitting or numbers or sorted(self._tensors)))
        if not fitting and (numbers or spec.dtype == "str"):
            self._nodes += _cast(source, spec.name, spec.dtype, negative=self._tensors[source] not in ("uint8", "bool"))
        elif not fitting:
            self._nodes += _zeros(source, spec.name, spec.dtype)
        else:
            self._nodes.append(_node("Identity", [source], spec.name))

    def model(self, name: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Model:
        """The model of all this."""
        functions = list(self._functions.values())
        return _model(inputs, outputs, self._nodes, self._weights, functions, self._opset, name)

    def _unary(self, source: str, target: str) -> str:
        self._nodes.append(_node(self._operator(source), [source], target))
        return self._tensors[source]

    def _scaled(self, source: str, target: str) -> str:
        dtype = self._tensors[source]
        if dtype not in ("float32", "float64", "int32", "int64"):
            return self._unary(source, target)
        weight = self._fresh("w")
        factor = np.array(self._draw(st.integers(-2, 2)), numpy_dtype(dtype))
        self._weights.append(numpy_helper.from_array(factor, weight))
        self._nodes.append(_node("Mul", [source, weight], target))
        return dtype

    def _cast(self, source: str, target: str) -> str:
        if self._tensors[source] == "str":
            return self._unary(source, target)
        self._nodes.append(_node("Cast", [source], target, to=TensorProto.FLOAT))
        return "float32"

    def _chosen(self, source: str, target: str) -> str:
        """An If whose branches read an outer tensor and call their nodes alike."""
        dtype, condition = self._tensors[source], self._fresh("c")
        self._weights.append(numpy_helper.from_array(np.array(self._draw(st.booleans())), condition))
        branches = {key: self._nested(source, f"{target}/{key}", dtype) for key in ("then_branch", "else_branch")}
        self._nodes.append(_node("If", [condition], target, **branches))
        return dtype

    def _nested(self, source: str, target: str, dtype: str) -> GraphProto:
        node = _node(self._operator(source), [source], target)
        return helper.make_graph([node], "branch", [], [TensorSpec(target, dtype, None).to_value_info()])

    def _looped(self, source: str, target: str) -> str:
        """A Loop of a fixed number of steps, over one carried tensor."""
        dtype, steps = self._tensors[source], self._fresh("steps")
        self._weights.append(numpy_helper.from_array(np.array(self._draw(st.integers(0, 2))), steps))
        inner = {name: f"{target}/{name}" for name in ("step", "go", "in", "on", "out")}
        nodes = [
            _node("Identity", [inner["go"]], inner["on"]),
            _node(self._operator(source), [inner["in"]], inner["out"]),
        ]
        takes = [("step", "int64", ()), ("go", "bool", ()), ("in", dtype, None)]
        gives = [("on", "bool", ()), ("out", dtype, None)]
        body = helper.make_graph(nodes, "body", _declared(inner, takes), _declared(inner, gives))
        self._nodes.append(_node("Loop", [steps, "", source], target, body=body))
        return dtype

    def _called(self, source: str, target: str) -> str:
        """A call of a model-local function, which is the same in all models that have it."""
        operator = self._operator(source)
        imports = [helper.make_opsetid("", self._opset)]
        body = [helper.make_node(operator, ["a"], ["b"])]
        self._functions[operator] = helper.make_function(_DOMAIN, f"My{operator}", ["a"], ["b"], body, imports)
        self._nodes.append(_node(f"My{operator}", [source], target, domain=_DOMAIN))
        return self._tensors[source]

    def _operator(self, source: str) -> str:
        return self._draw(st.sampled_from(_UNARY[self._tensors[source]]))

    def _fresh(self, kind: str) -> str:
        taken = {*self._tensors, *(weight.name for weight in self._weights), *NAMES}
        return next(name for number in range(len(taken) + 1) if (name := f"{kind}{number}") not in taken)


def _cast(source: str, target: str, dtype: str, *, negative: bool) -> list[NodeProto]:
    """A tensor as another dtype; what a negative number is as an unsigned one is not defined."""
    if dtype == "uint8" and negative:
        absolute = f"{target}/absolute"
        return [_node("Abs", [source], absolute), _node("Cast", [absolute], target, to=elem_type(dtype))]
    return [_node("Cast", [source], target, to=elem_type(dtype))]


def _zeros(source: str, target: str, dtype: str) -> list[NodeProto]:
    """Zeros in the shape of a tensor of texts."""
    zero = numpy_helper.from_array(np.zeros(1, numpy_dtype(dtype)))
    shape = f"{target}/shape"
    return [_node("Shape", [source], shape), _node("ConstantOfShape", [shape], target, value=zero)]


def _declared(names: dict[str, str], rows: Sequence[tuple[str, str, Shape | None]]) -> list[ValueInfoProto]:
    return [TensorSpec(names[name], dtype, shape).to_value_info() for name, dtype, shape in rows]


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [output], name=output, **attributes)


def _model(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    nodes: Sequence[NodeProto],
    weights: Sequence[TensorProto],
    functions: Sequence[FunctionProto],
    opset: int,
    name: str,
) -> Model:
    takes, gives = ([spec.to_value_info() for spec in specs] for specs in (inputs, outputs))
    graph = helper.make_graph(list(nodes), name, takes, gives, list(weights))
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid(_DOMAIN, 1)] if functions else [])]
    made = helper.make_model(graph, opset_imports=imports, ir_version=8, functions=list(functions))
    return Model.from_proto(made)
