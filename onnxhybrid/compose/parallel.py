"""`parallel`: several models on the same inputs."""

from __future__ import annotations

from collections import Counter

from onnxhybrid.compose.build.assembly import Assembly
from onnxhybrid.compose.build.part import parts_of
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model

_PARALLEL = Combinator("parallel", overlaps=True, role="member")


def parallel(**models: Model) -> Model:
    """Run models side by side: `oh.parallel(edge=a, cloud=b)`.

    Inputs of one name are one input. The outputs are called `edge/…` and `cloud/…`.

    Args:
        **models: one or more models, by the prefix of their outputs.

    Raises:
        ComposeError: OH201 or OH202, two models want different types or shapes of an input they share; OH205, no
            models.
    """
    if not models:
        raise ComposeError("OH205", "parallel takes one or more models by name, as in parallel(edge=a, cloud=b)")
    parts = parts_of(models)
    outputs = [f"{part.label}/{name}" for part in parts for name in part.outputs]
    if doubled := sorted(name for name, count in Counter(outputs).items() if count > 1):
        raise ComposeError("OH210", f"two outputs would be called {doubled[0]!r}; use other labels")
    assembly = Assembly(_PARALLEL, parts, [name for part in parts for name in part.inputs], outputs)
    for part in parts:
        assembly.add(part.label, {}, {name: f"{part.label}/{name}" for name in part.outputs})
    return assembly.finish(outputs)
