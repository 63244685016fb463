"""The combinators: pure functions from Models to a Model."""

from onnxhybrid.compose import judge
from onnxhybrid.compose.cascade import cascade
from onnxhybrid.compose.chain import chain
from onnxhybrid.compose.overlap import overlap
from onnxhybrid.compose.parallel import parallel
from onnxhybrid.compose.switch import switch

__all__ = ["cascade", "chain", "judge", "overlap", "parallel", "switch"]
