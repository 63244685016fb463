"""onnxruntime-extensions: tokenizers, audio decoders and the like as operators, for graphs that use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnxruntime

from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.functions import called, key_of
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.old_operators import DOMAIN, is_old

DOMAINS = frozenset({"ai.onnx.contrib", DOMAIN})
_UNKNOWN = "is not a registered function/op"


def used(model: Model) -> list[str]:
    """The operators of onnxruntime-extensions that a model uses, in branches and functions too, sorted.

    Neither the operators that were removed from it are among them, nor functions that the model brings itself.
    """
    own = {key_of(function) for function in model.skeleton.functions}
    return sorted(
        {
            node.op_type
            for node in all_nodes(model.skeleton)
            if node.domain in DOMAINS and not is_old(node) and called(node) not in own
        }
    )


def opened(make: Callable[[], None], options: onnxruntime.SessionOptions, operators: Sequence[str]) -> None:
    """Make a session with these options, for a model that uses these operators of onnxruntime-extensions.

    Options take its library once and do not tell whether they hold it; so it is registered only when they lack it.

    Raises:
        Error: OH547, the package is not installed; or what ONNX Runtime raises.
    """
    try:
        make()
    except Exception as problem:
        if not operators or _UNKNOWN not in str(problem):
            raise
        options.register_custom_ops_library(_library(operators))
        try:
            make()
        except Exception as second:  # noqa: BLE001  # ONNX Runtime raises many kinds
            # They held it already, and it lacks the operator: the first failure says which.
            raise (problem if "Conflicting" in str(second) else second) from None


def _library(operators: Sequence[str]) -> str:
    try:
        from onnxruntime_extensions import get_library_path
    except ImportError as problem:
        raise Error(
            "OH547",
            f"the model uses {', '.join(operators)} of onnxruntime-extensions, which cannot be imported ({problem}): "
            'pip install "onnxhybrid[extensions]"',
        ) from None
    path: str = get_library_path()
    return path
