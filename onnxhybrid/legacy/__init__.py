"""The way over from the operators of onnxruntime-extensions 0.9 to 0.14, and back to devices that still carry them."""

from onnxhybrid.legacy.export import export
from onnxhybrid.legacy.upgrade import upgrade

__all__ = ["export", "upgrade"]
