"""What makes a Model a judge: one output, a bool."""

from __future__ import annotations

from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model, TensorSpec


def verdict_of(judge: Model) -> TensorSpec:
    """The verdict of a judge.

    Raises:
        ComposeError: OH208, it has not one bool output.
    """
    specs = judge.outputs
    if len(specs) != 1 or specs[0].dtype != "bool":
        raise ComposeError(
            "OH208", f"a judge has exactly one output, a bool; this one gives {', '.join(map(str, specs))}"
        )
    return specs[0]
