"""The combinators: pure functions from Models to a Model."""

from onnxhybrid.compose import judge
from onnxhybrid.compose.cascade.cascade import cascade
from onnxhybrid.compose.chain import chain
from onnxhybrid.compose.cut.offload import offload
from onnxhybrid.compose.cut.splice import splice
from onnxhybrid.compose.cut.split import split
from onnxhybrid.compose.ensemble.ensemble import ensemble
from onnxhybrid.compose.fallback.fallback import fallback
from onnxhybrid.compose.overlap.overlap import overlap
from onnxhybrid.compose.parallel import parallel
from onnxhybrid.compose.route import route
from onnxhybrid.compose.switch import switch

__all__ = [
    "cascade",
    "chain",
    "ensemble",
    "fallback",
    "judge",
    "offload",
    "overlap",
    "parallel",
    "route",
    "splice",
    "split",
    "switch",
]
