"""Which inputs of a model reach which of its remote calls."""

from onnxhybrid.model.flows import elementwise, reduction, structure
from onnxhybrid.model.flows.walk import Reach, reaches

__all__ = ["Reach", "elementwise", "reaches", "reduction", "structure"]
