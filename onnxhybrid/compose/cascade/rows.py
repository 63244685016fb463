"""Which inputs of a cascade's remote are cut to the refused rows, and whether its outputs can be merged by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxhybrid.compose.build.part import Part
from onnxhybrid.compose.build.types import Declared, mismatch, shared_sizes, weaker
from onnxhybrid.errors import ComposeError
from onnxhybrid.model.dtypes import FLOATS, INTEGERS, is_container
from onnxhybrid.model.remote_spec import omissible_inputs
from onnxhybrid.model.tensor_spec import Dim, Shape

_CARRIED = {"bool", "str", "undefined", *FLOATS, *INTEGERS}
"""The element types for which ONNX Runtime has GatherND and ScatterND."""

Values = Mapping[str, Declared]
Answers = list[tuple[str, Declared, Declared]]
"""output -> what local gives, what remote gives"""


def rows_of(local: Part, remote: Part, outputs: Iterable[str]) -> list[str]:
    """The inputs of `remote` that are cut to the refused rows.

    An input has rows if its first size is not fixed and has the name that the first sizes of the others have, or none.
    Where they have different names, the one that an output's first size has too is the batch; what has another is
    passed whole. Scalars and inputs of a fixed first size, as tokens and options are, are passed whole. Where local
    answers one row only, there is nothing to cut.

    Args:
        local, remote: the parts.
        outputs: the outputs that are merged row by row.

    Raises:
        ComposeError: OH206, an output has two types; OH222, it cannot be told what has rows, or the remote cannot take
            fewer of them; OH223, an output cannot be put together of rows.
    """
    sizes = _Sizes(local.inputs, remote.inputs)
    answers = [(name, *_true(name, local, remote)) for name in outputs]
    for name, ours, theirs in answers:
        _check_output(name, ours, theirs)
    if all(sizes.single(ours) for _, ours, _ in answers):
        return []
    for _, _, theirs in answers:
        _check_answered(theirs)
    return _inputs_with_rows(sizes, local, remote, answers)


def _true(name: str, local: Part, remote: Part) -> tuple[Declared, Declared]:
    """An output of local, and of remote; where a declared size decides, with the sizes that are sure."""
    pair = local.outputs[name], remote.outputs[name]
    one, other = (value.shape for value in pair)
    firsts = [shape[0] for shape in (one, other) if shape]
    if any(isinstance(size, int) for size in firsts) or mismatch(*pair):
        return local.believed(name), remote.believed(name)
    return pair


class _Sizes:
    """The sizes of both parts; those that a shared input makes equal have one name."""

    def __init__(self, local: Values, remote: Values) -> None:
        self._local = local
        self._renamed: dict[str, str] = {}
        self._ones: set[str] = set()
        for name in local.keys() & remote.keys():
            self._renamed |= shared_sizes(local[name], remote[name])
            ours, theirs = local[name].shape, remote[name].shape
            if ours and theirs and theirs[0] == 1 and isinstance(ours[0], str):
                self._ones.add(ours[0])

    def single(self, answer: Declared) -> bool:
        """Whether an output of local has one row, whatever is fed."""
        shape = answer.shape
        return bool(shape) and shape is not None and (shape[0] == 1 or shape[0] in self._ones)

    def of(self, value: Declared) -> Shape | None:
        """The sizes of an input or output of remote; a name of its own is made different from local's names."""
        shape = value.shape
        return None if shape is None else tuple(self._known(size) for size in shape)

    def first(self, value: Declared) -> Dim:
        """The first size of an input of remote, as far as one of the parts names it."""
        shape = self.of(value)
        if shape and shape[0] is not None:
            return shape[0]
        shared = self._local.get(value.name)
        shape = shared.shape if shared is not None else None
        return shape[0] if shape and isinstance(shape[0], str) else None

    def _known(self, size: Dim) -> Dim:
        return self._renamed.get(size, f"remote/{size}") if isinstance(size, str) else size


def _inputs_with_rows(sizes: _Sizes, local: Part, remote: Part, answers: Answers) -> list[str]:
    omissible = omissible_inputs(remote.model.skeleton.graph.node)
    candidates = [(n, value) for n, value in remote.inputs.items() if not isinstance(omissible.get(n), int)]
    open_ended = {n: sizes.first(value) for n, value in candidates if _is_open_ended(value, local)}
    batch = _batch(open_ended, sizes, remote, answers)
    chosen = [name for name, size in open_ended.items() if size is None or batch is None or size == batch]
    if omitted := next((name for name in chosen if name in omissible), None):
        raise _unclear(
            remote.inputs[omitted],
            "may be left out and would be cut to the refused rows, of which an input that is left out has none; "
            "describe it without optional=True, or leave it out of inputs=",
        )
    if not chosen:
        raise _no_rows(remote)
    for value in remote.inputs.values():
        shape = sizes.of(value)
        if batch is not None and shape is not None and batch in shape[1:]:
            raise _unclear(value, f"has the rows of {chosen[0]!r} along another axis than the first")
    for name in chosen:
        _check_carried("OH222", "remote's input", remote.inputs[name])
    for name, ours, theirs in answers:
        for shape in (ours.shape, sizes.of(theirs)):
            if batch is not None and batch in (shape or ())[1:]:
                raise ComposeError(
                    "OH223", f"the output {name!r} has the rows along another axis than the first; move it to the first"
                )
    return chosen


def _is_open_ended(value: Declared, local: Part) -> bool:
    """Whether the first size of an input of remote varies.

    Raises:
        ComposeError: OH222, it is not declared; or it is fixed, and local takes any.
    """
    ours = local.inputs[value.name].shape if value.name in local.inputs else None
    if is_container(value.dtype) and value.dtype != "undefined":
        raise _unclear(value, "is no tensor, and it cannot be told whether its elements belong to rows")
    shape = value.shape
    if shape is None:
        shape = ours
    if shape is None:
        raise _unclear(value, "has no declared rank, so it cannot be told whether it has rows; declare its shape")
    if not shape:
        return False
    if isinstance(shape[0], int) and shape[0] != 1 and ours and not isinstance(ours[0], int):
        raise _unclear(
            value, f"takes exactly {shape[0]} rows, and the refused ones are fewer; leave its first size open"
        )
    return not isinstance(shape[0], int)


def _batch(inputs: Mapping[str, Dim], sizes: _Sizes, remote: Part, answers: Answers) -> Dim:
    """The name of the size that counts rows; None where no input has a name for it.

    Raises:
        ComposeError: OH222, there are several names, and the outputs do not say which it is.
    """
    names = {size: name for name, size in inputs.items() if size is not None}
    if len(names) < 2:
        return next(iter(names), None)
    firsts = {(ours.shape or (None,))[0] for _, ours, _ in answers}
    firsts |= {(sizes.of(theirs) or (None,))[0] for _, _, theirs in answers}
    if len(known := [size for size in names if size in firsts]) == 1:
        return known[0]
    one, other = list(names.values())[:2]
    raise _unclear(
        remote.inputs[other],
        f"and {remote.inputs[one]} have different names for their first size, and no output says "
        "which counts the rows; give both one name, or give a fixed size to what is not to be cut",
    )


def _unclear(value: Declared, problem: str) -> ComposeError:
    return ComposeError("OH222", f"remote's input {value} {problem}")


def _no_rows(remote: Part) -> ComposeError:
    inputs = ", ".join(map(str, remote.model.inputs)) or "nothing"
    return ComposeError(
        "OH222", f"remote takes {inputs}: no input has a first size that varies, so it cannot take fewer rows; leave "
        "the first size of what is to be cut open, as in TensorSpec(name, dtype, ('n', 64)), or drop rows=True"
    )  # fmt: skip


def _check_output(name: str, ours: Declared, theirs: Declared) -> None:
    """Rows of remote's answer can replace rows of local's.

    Raises:
        ComposeError: OH206, the types differ; OH223, the outputs have no rows, or rows of different shapes.
    """
    weaker(name, ours, theirs)
    for side, value in (("local's output", ours), ("remote's output", theirs)):
        _check_carried("OH223", side, value)
        if value.shape == ():
            raise ComposeError("OH223", f"{side} {value} is a scalar and has no rows; drop it with select")
    one, other = ours.shape, theirs.shape
    if one is None or other is None:
        return
    fixed = [(a, b) for a, b in zip(one[1:], other[1:], strict=False) if isinstance(a, int) and isinstance(b, int)]
    if len(one) != len(other) or any(a != b for a, b in fixed):
        raise ComposeError(
            "OH223",
            f"rows of remote's {theirs} do not fit among those of local's {ours}; "
            "bring one of them to the other's shape",
        )


def _check_answered(value: Declared) -> None:
    shape = value.shape
    if shape and isinstance(shape[0], int):
        raise ComposeError(
            "OH223",
            f"remote's output {value} has exactly {shape[0]} rows, however many it is sent; leave its "
            "first size open, or drop rows=True",
        )


def _check_carried(code: str, side: str, value: Declared) -> None:
    if value.dtype not in _CARRIED:
        raise ComposeError(
            code,
            f"{side} {value} is of a type whose rows no operator of ONNX Runtime takes or puts back; "
            "convert it in a model beside this one, or drop rows=True",
        )
