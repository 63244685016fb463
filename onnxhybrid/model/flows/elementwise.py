"""Operators that compute each element by itself; of a few whole numbers, such as sizes, they are computed, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnxhybrid.model.dtypes import name_of
from onnxhybrid.model.flows.operators import Given, rule
from onnxhybrid.model.flows.tensor import Flow, Size, Sizes, of_sizes, product, shaped, union

_UNARY = [
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Cos", "Cosh",
    "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu", "Log",
    "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh",
    "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "RegexFullMatch",
]  # fmt: skip
_BROADCAST = [
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow", "PRelu",
    "StringConcat", "Sub", "Sum", "Where", "Xor", "Clip",
]  # fmt: skip

_LARGEST = 1 << 31
_COUNTING = ("int64", "int32")
_ANY = ("int64", "int32", "uint8", "bool")

_ARITHMETIC: dict[str, Callable[..., int]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Neg": lambda a: -a,
    "Abs": abs,
    "Max": lambda *numbers: max(numbers),
    "Min": lambda *numbers: min(numbers),
}
_COMPARISONS: dict[str, Callable[..., bool]] = {
    "Equal": lambda a, b: a == b,
    "Greater": lambda a, b: a > b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "Less": lambda a, b: a < b,
    "LessOrEqual": lambda a, b: a <= b,
    "Not": lambda a: not a,
    "And": lambda a, b: bool(a and b),
    "Or": lambda a, b: bool(a or b),
    "Xor": lambda a, b: bool(a) != bool(b),
}
_ONE = ("Abs", "Neg", "Not")
"""Those that take one operand."""

_DECIDED = {"And": 0, "Or": 1, "Mul": 0}
"""What one of two operands decides alone."""


@rule(*_UNARY, *_BROADCAST)
def each(given: Given) -> list[Flow]:
    """One element of the output for those of the inputs at its place."""
    flows = given.present
    dtype = given.dtype()
    if len(flows) == 1 and flows[0].elements is None:
        return [Flow(flows[0].data, flows[0].shape, flows[0].sizes, None, None, dtype)]
    sizes = broadcast([flow.sizes for flow in flows])
    elements = _computed(given.step.operator, flows, sizes) if sizes is not None else None
    if sizes is not None and elements is not None:
        return [shaped(of_sizes(elements), sizes, dtype, elements)]
    data = union(flow.data for flow in flows)
    if sizes is None:
        return [Flow(data, union(flow.shape for flow in flows), None, None, None, dtype)]
    return [shaped(data, sizes, dtype)]


def broadcast(tensors: Sequence[Sizes | None]) -> Sizes | None:
    """The sizes that tensors have together; None where the rank of one is not known."""
    known = [sizes for sizes in tensors if sizes is not None]
    if len(known) != len(tensors):
        return None
    if all(sizes == known[0] for sizes in known):
        return known[0]
    rank = max(map(len, known))
    aligned = [(Size(1),) * (rank - len(sizes)) + sizes for sizes in known]
    return tuple(_together(column) for column in zip(*aligned, strict=True))


def _together(column: Sequence[Size]) -> Size:
    """The size along one axis: a size other than 1 is that of all."""
    others = [size for size in column if size.value != 1]
    if not others:
        return Size(1)
    return next((size for size in others if size.value is not None), Size(None, of_sizes(others)))


def _computed(operator: str, flows: Sequence[Flow], sizes: Sizes) -> Sizes | None:
    """The elements of a small tensor, as far as they are known; None where they are not followed."""
    columns = [flow.elements for flow in flows if flow.elements is not None]
    if not columns:
        return None
    count = product(sizes).value
    if count is None or len(columns) != len(flows) or any(len(column) not in (1, count) for column in columns):
        return None
    if (
        count > 1
        and len({flow.sizes for flow in flows if flow.elements is not None and len(flow.elements) == count}) > 1
    ):
        return None
    compute = _computing(operator, flows)
    if compute is None:
        return None
    spread = [column if len(column) == count else column * count for column in columns]
    return tuple(_element(operator, compute, row) for row in zip(*spread, strict=True))


def _computing(operator: str, flows: Sequence[Flow]) -> Callable[..., int] | None:
    if len(flows) != (1 if operator in _ONE else 2) and operator not in ("Max", "Min"):
        return None
    types = {flow.dtype for flow in flows}
    if operator in _ARITHMETIC and types <= set(_COUNTING):
        return _ARITHMETIC[operator]
    return _COMPARISONS.get(operator) if types <= set(_ANY) else None


def _element(operator: str, compute: Callable[..., int], row: Sequence[Size]) -> Size:
    values = [size.value for size in row]
    deciding = _DECIDED.get(operator)
    if deciding is not None and deciding in values:
        return Size(deciding)
    if None in values:
        return Size(None, of_sizes(row))
    result = int(compute(*values))
    return Size(result) if abs(result) < _LARGEST else Size(None)


@rule("Cast")
def cast(given: Given) -> list[Flow]:
    """The same elements as another type."""
    (flow,) = given.present[:1]
    dtype = name_of(given.integer("to", 0))
    if flow.elements is not None and flow.sizes is not None and dtype in (*_COUNTING, "bool"):
        elements = tuple(_cast(element, dtype) for element in flow.elements)
        return [Flow(of_sizes(elements), flow.shape, flow.sizes, elements, None, dtype)]
    return [Flow(flow.data, flow.shape, flow.sizes, None, None, dtype)]


def _cast(element: Size, dtype: str) -> Size:
    if element.value is None:
        return element
    if dtype == "bool":
        return Size(int(element.value != 0))
    return element if dtype == "int64" or abs(element.value) < _LARGEST else Size(None)


@rule("CastLike")
def cast_like(given: Given) -> list[Flow]:
    """The same elements as the type of another tensor."""
    flow, like = given.flow(0) or Flow(), given.flow(1) or Flow()
    return [Flow(flow.data, flow.shape, flow.sizes, None, None, like.dtype)]
