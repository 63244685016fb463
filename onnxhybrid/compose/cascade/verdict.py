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

_SHAPE_OF_SOME = 15
"""The first opset whose Shape gives some of the sizes."""


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


def all_of(assembly: Assembly, verdicts: str) -> str:
    """One bool: whether all hold. Where there are none they do."""
    number = assembly.cast(verdicts, "int32", "judge/accepted/number")
    product = assembly.node("ReduceProd", [number], "judge/accepted/product", keepdims=0)
    return assembly.cast(product, "bool", "judge/accepted")


def by_row(assembly: Assembly, verdicts: str, counted: Iterable[str], opset: int) -> str:
    """A bool for each row: whether all of it is accepted.

    Args:
        assembly: of the standard opset 14 or later.
        verdicts: what the judge says.
        counted: tensors that must have as many rows as there are verdicts; it is OH546 at run time if they do not.
        opset: the assembly's.

    Raises:
        ComposeError: OH208, there is one verdict alone.
    """
    spec = assembly.spec(verdicts)
    if spec.shape == ():
        raise ComposeError(
            "OH208", f"the judge gives one verdict, {spec}, and rows=True needs one for each row; drop rows=True"
        )
    rows = verdicts
    if spec.shape is None or len(spec.shape) != 1:
        rows = _all_of_row(assembly, verdicts)
    for tensor in counted:
        called = f"[OH546] {tensor!r} has another number of rows than the judge's verdict"
        size = _rows_of(assembly, tensor, called, opset)
        rows = assembly.node("Reshape", [rows, size], "judge/accepted/rows", called=called, allowzero=1)
    return rows


def _all_of_row(assembly: Assembly, verdicts: str) -> str:
    rest = assembly.constant(_ONE, "judge/rest")
    called = "[OH546] the judge gives one verdict, and rows=True needs one for each row"
    flat = assembly.node("Flatten", [verdicts], "judge/accepted/flat", called=called, axis=1)
    number = assembly.cast(assembly.node("Not", [flat], "judge/refused/flat"), "int64", "judge/refused/flat/number")
    count = assembly.node("ReduceSum", [number, rest], "judge/refused/by_row", keepdims=0)
    return assembly.node("Not", [assembly.cast(count, "bool", "judge/refused/rows")], "judge/accepted/rows")


def _rows_of(assembly: Assembly, tensor: str, called: str, opset: int) -> str:
    """The number of rows of a tensor, int64[1]."""
    if opset >= _SHAPE_OF_SOME:
        return assembly.node("Shape", [tensor], "judge/size", end=1)
    shape = assembly.node("Shape", [tensor], "judge/shape")
    return assembly.node("Gather", [shape, assembly.constant(_ZERO, "judge/first")], "judge/size", called=called)
