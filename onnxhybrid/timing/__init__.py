"""How long models take, side by side: `timing.compare({"local": "small.onnx", "hybrid": "hybrid.onnx"}, feeds)`."""

from onnxhybrid.timing.comparing import Timing, compare, table

__all__ = ["Timing", "compare", "table"]
