"""Options that a protocol sends along: constants of the artifact, or graph inputs of shape [1]."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from onnxhybrid import library
from onnxhybrid.errors import ModelError
from onnxhybrid.model.editing import as_dtype
from onnxhybrid.model.tensor_spec import Input, TensorSpec
from onnxhybrid.model.texts import is_name, is_text
from onnxhybrid.remote.groups import fields

Attribute = str | int | float


@dataclass(frozen=True)
class Options:
    """What a node says that only its protocol knows: the protocol's attributes, and its options.

    Attributes:
        attributes: the attributes of the node: the protocol's own, and the options that are constant.
        names: the options that are graph inputs, by their names in the protocol.
        inputs: the graph inputs, one for each of `names`.
        defaults: the values of those that may be left out.
    """

    attributes: dict[str, Attribute] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    defaults: tuple[TensorProto, ...] = ()

    @classmethod
    def of(
        cls,
        protocol: str,
        given: Mapping[str, object],
        *,
        extra: object = None,
        parameters: object = None,
        **constant: str,
    ) -> Options:
        """The options of one node.

        Args:
            protocol: the protocol, whose table says which options there are and of which dtype.
            given: option -> a value, an `oh.Input`, or None for one that is not sent.
            extra, parameters: further fields by names that no table has, a value or an `oh.Input` each.
            **constant: text attributes that are never inputs.

        Raises:
            ModelError: OH304, a value is of another kind than its option, or none that can be sent; OH323, a further
                field is one that the protocol sends itself.
        """
        dtypes: dict[str, str] = library.protocols()[protocol]["options"]
        inputs = {name: (value, dtypes[name]) for name, value in given.items() if isinstance(value, Input)}
        values = {name: value for name, value in given.items() if value is not None and name not in inputs}
        attributes: dict[str, Attribute] = {
            name: _constant(name, dtypes[name], value) for name, value in values.items()
        }
        for group, named in (("extra", extra), ("parameters", parameters)):
            text, more = fields(protocol, group, named)
            attributes.update({group: text} if text else {})
            inputs.update(more)
        return cls({**constant, **attributes}).plus(inputs)

    def plus(self, inputs: Mapping[str, tuple[Input, str]]) -> Options:
        """These options and more that are inputs: the name among the options -> the input and its dtype.

        Raises:
            ModelError: OH304, a default is of another kind than its input.
        """
        specs = {
            name: TensorSpec(value.name or name.partition(".")[2] or name, dtype, (1,))
            for name, (value, dtype) in inputs.items()
        }
        defaults = (
            _default(specs[name], value.default) for name, (value, _) in inputs.items() if value.default is not None
        )
        return Options(
            self.attributes, (*self.names, *inputs), (*self.inputs, *specs.values()), (*self.defaults, *defaults)
        )


def chosen(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Check an option that has a few values, unless it is an input.

    Raises:
        ModelError: OH304, it is none of them.
    """
    candidate = value.default if isinstance(value, Input) and value.default is not None else value
    if not isinstance(candidate, Input) and candidate not in choices:
        raise ModelError("OH304", f"{name} is one of {', '.join(choices)}, not {candidate!r}")


def flag(name: str, value: object) -> bool:
    """An option that is a constant bool.

    Raises:
        ModelError: OH304, it is something else.
    """
    if not isinstance(value, bool):
        raise ModelError("OH304", f"{name} is True or False, not {value!r}; it cannot be given at run time")
    return value


def text(name: str, value: object) -> str:
    """An option that is a constant, non-empty text.

    Raises:
        ModelError: OH304, it is something else.
    """
    if not is_name(value):
        raise ModelError("OH304", f"{name} is a non-empty text, not {value!r}")
    return value


def _constant(name: str, dtype: str, value: object, also: str = " or an oh.Input") -> Attribute:
    """A value as the attribute of an option of `dtype`: str, int64, or float32, which has to be finite."""
    if dtype == "str" and is_text(value):
        return value
    if dtype == "bool" and isinstance(value, (bool, np.bool_)):
        return bool(value)
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if dtype == "int64" and whole and -(2**63) <= int(value) < 2**63:  # type: ignore[call-overload]
        return int(value)  # type: ignore[call-overload, no-any-return]
    if dtype == "float32" and (whole or isinstance(value, (float, np.floating))):
        number = float(value)  # type: ignore[arg-type]
        if math.isfinite(number) and abs(number) <= float(np.finfo(np.float32).max):
            return number
    raise ModelError("OH304", f"{name} is {_KINDS[dtype]}{also}, not {value!r}")


_KINDS = {"str": "a string", "bool": "True or False", "int64": "an int", "float32": "a finite number"}


def _default(spec: TensorSpec, value: Any) -> TensorProto:
    single = value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value
    constant = _constant(f"the default of {spec.name!r}", spec.dtype, single, also="")
    return numpy_helper.from_array(as_dtype(spec, [constant]), spec.name)
