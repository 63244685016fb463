"""Pages and pictures of a model: `report` writes one HTML page that needs nothing else, or its map alone as SVG.

import onnxhybrid as oh

oh.report("hybrid.onnx", "hybrid.html")
"""

from onnxhybrid.reporting.report import report

__all__ = ["report"]
