"""What is calibrated: the cascade, the output that is compared, and how rows become calls."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onnxhybrid.calibration.feeding import Form
from onnxhybrid.calibration.measuring import Measuring, measuring
from onnxhybrid.compose.cascade.anatomy import Anatomy, anatomy
from onnxhybrid.compose.cascade.flags import flags_of
from onnxhybrid.compose.cascade.identity import identity
from onnxhybrid.errors import Error
from onnxhybrid.model import Model, load
from onnxhybrid.model.dtypes import FLOATS, is_container
from onnxhybrid.model.tensor_spec import TensorSpec


@dataclass(frozen=True)
class Subject:
    """A cascade to calibrate.

    Attributes:
        hybrid: the model.
        output: what is compared.
        cascade: where the cascade is in it.
        graphs: what is run.
        form: how rows become calls.
        parts: the hashes of its parts.
    """

    hybrid: Model
    output: str
    cascade: Anatomy
    graphs: Measuring
    form: Form
    parts: Mapping[str, str]

    @classmethod
    def of(cls, hybrid: object, output: str | None, batch: int) -> Subject:
        """Find the cascade; arrays are cut into so many rows a call.

        Raises:
            Error: OH600 to OH603 and OH608, as `calibrate` says.
            ModelError: the file cannot be loaded.
        """
        if not isinstance(hybrid, (Model, str, os.PathLike)):
            raise Error("OH600", f"calibrate takes a Model or the path of a file, not {type(hybrid).__name__}")
        model = hybrid if isinstance(hybrid, Model) else load(hybrid)
        compared = _compared(model, output)
        cascade = anatomy(model, compared.name)
        graphs = measuring(model, cascade, compared.name)
        cuts = not compared.shape or compared.shape[0] != 1 or _takes_one(graphs.both.inputs)
        form = Form(graphs.both.inputs, cascade.rows, cuts, batch)
        return cls(model, compared.name, cascade, graphs, form, identity(model, compared.name, cascade))


def _takes_one(inputs: Iterable[TensorSpec]) -> bool:
    """Whether what is fed has one row as well, as where every size is fixed."""
    required = [spec.shape for spec in inputs if not spec.optional]
    return all(shape is not None and shape[:1] == (1,) for shape in required)


def _compared(model: Model, output: str | None) -> TensorSpec:
    """The output that is compared: the one that is named, or the only one that can be.

    Raises:
        Error: OH608, there is none of this name, or several could be compared.
    """
    outputs = {spec.name: spec for spec in model.outputs}
    if output is not None:
        if not isinstance(output, str) or output not in outputs:
            raise Error("OH608", f"there is no output {output!r}; there are {', '.join(map(repr, outputs))}")
        return outputs[output]
    flags = flags_of(model)
    answers = [spec for name, spec in outputs.items() if name not in flags and _is_answer(model, name)]
    tensors = [spec for spec in answers if not is_container(spec.dtype)]
    labels = [spec for spec in tensors if spec.dtype not in FLOATS]
    if len(labels) == 1:
        return labels[0]
    if len(tensors) == 1:
        return tensors[0]
    if not tensors:
        names = ", ".join(map(repr, outputs))
        raise Error(
            "OH600", f"no cascade answers one of the outputs {names}; calibrate takes what oh.cascade(local, remote, "
            "accept=judge) gives, or what was made of it"
        )  # fmt: skip
    names = ", ".join(repr(spec.name) for spec in labels or tensors)
    raise Error("OH608", f"each of the outputs {names} could be compared; name one, as in output={tensors[0].name!r}")


def _is_answer(model: Model, output: str) -> bool:
    """Whether a cascade answers an output; of a judge's report none does."""
    try:
        anatomy(model, output)
    except Error as problem:
        return problem.code != "OH600"
    return True
