"""Builds a small Model of standard operators, which a combinator puts between its parts, or which is a judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import FunctionProto, NodeProto, TensorProto, helper, numpy_helper

from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.naming import Taken

OPSET = 14
"""The oldest opset that has what most of them use."""

OPSET_OF_STRINGS = 19
"""The first opset whose Equal takes strings."""

_IR = {14: 7, 19: 9, 20: 9}
"""The IR version that came with an opset."""

_IR_OF_FUNCTIONS = 8


class Steps:
    """Nodes and constants; calling it adds a node and gives the name of its first output.

    Args:
        name: the model's name, and the prefix of the names in it.
        inputs: the model's inputs.
    """

    def __init__(self, name: str, inputs: Sequence[TensorSpec]) -> None:
        self._label = name
        self._inputs = inputs
        self._nodes: list[NodeProto] = []
        self._constants: dict[bytes, TensorProto] = {}
        self._taken = Taken(spec.name for spec in inputs)
        self._functions: list[FunctionProto] = []

    def __call__(
        self,
        operator: str,
        *inputs: str,
        outputs: int = 1,
        node: str = "",
        given: Mapping[str, int] | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node.

        Args:
            operator: its type, of the standard domain.
            *inputs: the tensors that it reads.
            outputs: how many it writes.
            node: its name, where an error of the runtime should tell it.
            given: attributes that the caller of a function gives -> their types.
            **attributes: its attributes.
        """
        names = [self.name(f"{self._label}/{operator}") for _ in range(outputs)]
        made = helper.make_node(operator, inputs, names, name=node or names[0], **attributes)
        for name, kind in (given or {}).items():
            made.attribute.add(name=name, ref_attr_name=name, type=kind)
        self._nodes.append(made)
        return names[0]

    def hold(self, *functions: FunctionProto) -> None:
        """Let the model hold functions that those which it calls are made of."""
        self._functions += functions

    def call(
        self, function: FunctionProto, inputs: Sequence[str], outputs: Sequence[str], *, node: str, **attributes: Any
    ) -> None:
        """Add a node that calls a model-local function, which becomes part of the model."""
        self._functions.append(function)
        made = helper.make_node(function.name, inputs, outputs, name=node, domain=function.domain, **attributes)
        self._nodes.append(made)

    def name(self, wanted: str) -> str:
        """A free name, which is taken from now on."""
        return self._taken.take(wanted)

    def write(self, operator: str, *inputs: str, output: str, **attributes: Any) -> None:
        """Add a node that writes the tensor `output`."""
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.int64) -> str:
        """A constant; the same one where it was asked for before."""
        tensor = numpy_helper.from_array(np.array(value, dtype))
        known = self._constants.setdefault(tensor.SerializeToString(), tensor)
        known.name = known.name or self.name(f"{self._label}/constant")
        return known.name

    def model(
        self, outputs: Iterable[TensorSpec], *, defaults: Iterable[TensorProto] = (), opset: int = OPSET
    ) -> Model:
        """The finished model.

        Args:
            outputs: what it gives.
            defaults: the values of inputs that may be left out.
            opset: the oldest opset that has its operators.
        """
        graph = helper.make_graph(
            self._nodes,
            self._label,
            [spec.to_value_info() for spec in self._inputs],
            [spec.to_value_info() for spec in outputs],
            [*self._constants.values(), *defaults],
        )
        imports = [helper.make_opsetid("", opset)]
        others = {f.domain: 1 for f in self._functions}
        others |= {entry.domain: entry.version for f in self._functions for entry in f.opset_import if entry.domain}
        imports += [helper.make_opsetid(domain, version) for domain, version in sorted(others.items())]
        held = max(_IR[opset], _IR_OF_FUNCTIONS) if self._functions else _IR[opset]
        made = helper.make_model(graph, functions=self._functions, ir_version=held, opset_imports=imports)
        return Model(made, {})

    def function(
        self, domain: str, name: str, outputs: Sequence[str], opset: int, attributes: Sequence[str] = ()
    ) -> FunctionProto:
        """What was written as a model-local function.

        Args:
            domain, name: what it is called.
            outputs: the tensors that it gives.
            opset: the standard opset of its operators.
            attributes: what its callers give beside the inputs.
        """
        constants = [
            helper.make_node("Constant", [], [tensor.name], name=tensor.name, value=tensor)
            for tensor in self._constants.values()
        ]
        inputs = [spec.name for spec in self._inputs]
        others = sorted({node.domain for node in self._nodes} - {""})
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(other, 1) for other in others)]
        return helper.make_function(domain, name, inputs, outputs, [*constants, *self._nodes], imports, attributes)
