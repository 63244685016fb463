"""The judge's verdict as tensors of a cascade: by row or as a whole, the refused rows' positions, and the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import ModelProto, TensorProto, helper

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.types import Declared, narrowed
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.editing import SCORE
from onnxhybrid.model.fragile import inferred
from onnxhybrid.model.messages import copied
from onnxhybrid.model.naming import free_name, tensor_names
from onnxhybrid.model.opsets import opsets_of, set_opsets
from onnxhybrid.model.tensor_spec import Shape, shape_of

_ZERO, _ONE = (helper.make_tensor("number", TensorProto.INT64, [1], [number]) for number in (0, 1))


def scored(judge: Model, opset: int, given: Mapping[str, Declared]) -> Model:
    """The judge with what it compares, float32, as a second output; as it is if it does not say.

    Args:
        judge: a judge whose standard opset is `opset`, if it has one.
        opset: the standard opset of the cascade.
        given: the outputs of local, of which the shapes of what the judge computes follow.

    Raises:
        ComposeError: OH224, the tensor that its metadata name does not exist.
    """
    tensor = judge.metadata.get(SCORE)
    if tensor is None:
        return judge
    names = tensor_names(judge.skeleton.graph)
    if tensor not in names:
        raise ComposeError(
            "OH224", f"the judge's metadata entry {SCORE!r} names {tensor!r}, and there is no such tensor"
        )
    proto = copied(judge.skeleton)
    set_opsets(proto, {"": opset} | opsets_of(proto.opset_import))
    output = free_name("score", names)
    proto.graph.node.append(helper.make_node("Cast", [tensor], [output], name=output, to=TensorProto.FLOAT))
    sizes = _inferred(proto, given).get(output)
    shape = None if sizes is None else [size if isinstance(size, int) else None for size in sizes]
    proto.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
    return Model(proto, judge.weights)


def _inferred(judge: ModelProto, given: Mapping[str, Declared]) -> dict[str, Shape | None]:
    """The shapes of the judge's inner tensors, where they can be known when it reads what is given."""
    known = copied(judge)
    for value in known.graph.input:
        if value.name in given:
            value.CopyFrom(narrowed(Declared(value), given[value.name]).value)
    try:
        graph = inferred(known, data_prop=True).graph
    except Exception:  # noqa: BLE001  # onnx raises many kinds; a shape that is not known is none that is wrong
        return {}
    return {value.name: shape_of(value) for value in graph.value_info}


def any_of(assembly: Assembly, flags: str) -> str:
    """One bool: whether any element holds. No element at all is none that holds."""
    number = assembly.cast(flags, "int64", "judge/refused/number")
    count = assembly.node("ReduceSum", [number], "judge/refused/count", keepdims=0)
    return assembly.cast(count, "bool", "judge/refused/some")


def by_row(assembly: Assembly, refused: str, counted: Iterable[str]) -> str:
    """A bool for each row: whether any element of it is refused.

    Args:
        assembly: of the standard opset 14 or later.
        refused: the negated verdict.
        counted: tensors that must have as many rows as the verdict; it is OH546 at run time if they do not.
    """
    first, rest = (assembly.constant(number, f"judge/{axis}") for number, axis in ((_ZERO, "first"), (_ONE, "rest")))
    called = "[OH546] the judge gives one verdict, and rows=True needs one for each row"
    flat = assembly.node("Flatten", [refused], "judge/refused/flat", called=called, axis=1)
    number = assembly.cast(flat, "int64", "judge/refused/flat/number")
    count = assembly.node("ReduceSum", [number, rest], "judge/refused/by_row", keepdims=0)
    rows = assembly.cast(count, "bool", "judge/refused/rows")
    for tensor in counted:
        called = f"[OH546] {tensor!r} has another number of rows than the judge's verdict"
        shape = assembly.node("Shape", [tensor], "judge/shape")
        size = assembly.node("Gather", [shape, first], "judge/size", called=called)
        rows = assembly.node("Reshape", [rows, size], "judge/refused/rows", called=called, allowzero=1)
    return rows


def positions(assembly: Assembly, refused: str) -> str:
    """The positions of the refused rows, int64[k, 1]."""
    found = assembly.node("NonZero", [refused], "judge/refused/found")
    return assembly.node("Transpose", [found], "judge/refused/positions")


def all_positions(assembly: Assembly, refused: str) -> str:
    """The positions of all rows, int64[n, 1]."""
    shape = assembly.node("Shape", [refused], "judge/rows/shape")
    ones = assembly.node("ConstantOfShape", [shape], "judge/rows/ones", value=_ONE)
    return positions(assembly, ones)
