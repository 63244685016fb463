"""The combinators: pure functions from Models to a Model."""

from onnxhybrid.compose import judge
from onnxhybrid.compose.cascade import cascade
from onnxhybrid.compose.chain import chain
from onnxhybrid.compose.ensemble import ensemble
from onnxhybrid.compose.fallback import fallback
from onnxhybrid.compose.overlap import overlap
from onnxhybrid.compose.parallel import parallel
from onnxhybrid.compose.route import route
from onnxhybrid.compose.switch import switch

__all__ = ["cascade", "chain", "ensemble", "fallback", "judge", "overlap", "parallel", "route", "switch"]
