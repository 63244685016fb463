"""Whether each row of a model's outputs depends on the same row of its inputs alone, as far as its operators tell.

Tensors are followed through a graph: which have rows, and along which axis. An operator is in a table, with what it
asks of its inputs, or it proves nothing; so does each one that is given rows where the table wants what all rows share.
"""

from __future__ import annotations

from collections.abc import Collection

from onnx import ModelProto, NodeProto

from onnxhybrid.model.inlining import without_functions
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.row_wise.learned import LEARNED
from onnxhybrid.model.row_wise.operators import STANDARD
from onnxhybrid.model.row_wise.tensors import OLDEST, Rule, Tensors

_RULES: dict[str, dict[str, Rule]] = {"": STANDARD, "ai.onnx.ml": LEARNED}


def is_row_wise(model: ModelProto, rows: Collection[str]) -> bool:
    """Whether the outputs of a model have a row for each row of its inputs, and of that row alone.

    Values may differ in their last bits from those of all rows together: kernels add in another order for few rows.

    Args:
        model: a skeleton.
        rows: the inputs that have rows, along their first axis as the outputs, and as many each; all rows share the
            others.
    """
    if model.functions:
        try:
            model = without_functions(model, lambda _: True)
        except ValueError:
            return False
    if opsets_of(model.opset_import).get("", OLDEST) < OLDEST:
        return False
    tensors = Tensors.of(model, rows)
    for node in model.graph.node:
        _follow(node, tensors)
    found = [tensors.rows.get(value.name) for value in model.graph.output]
    return all(each is not None and each.axis == 0 for each in found)


def _follow(node: NodeProto, tensors: Tensors) -> None:
    """Learn of what a node gives."""
    inputs, rule = [name for name in node.input if name], _RULES.get(standard(node.domain), {}).get(node.op_type)
    if not standard(node.domain) and node.op_type == "Constant":
        tensors.add_constant(node)
    elif rule is None or not inputs:
        return
    elif all(name in tensors.alike for name in inputs):
        tensors.add_alike(node.output)
    elif all(name in tensors.alike or name in tensors.rows for name in inputs):
        for name, found in zip(node.output, rule(node, tensors), strict=False):
            if found is not None:
                tensors.add_rows(name, found)
