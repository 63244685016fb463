"""The combinators: pure functions from Models to a Model."""

from onnxhybrid.compose import judge
from onnxhybrid.compose.cascade import cascade
from onnxhybrid.compose.chain import chain
from onnxhybrid.compose.offload import offload
from onnxhybrid.compose.parallel import parallel
from onnxhybrid.compose.splice import splice
from onnxhybrid.compose.split import split
from onnxhybrid.compose.switch import switch

__all__ = ["cascade", "chain", "judge", "offload", "parallel", "splice", "split", "switch"]
