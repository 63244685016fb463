"""What a file holds, and what is installed, for people and as JSON.

from onnxhybrid import inspection

print(inspection.describe("hybrid.onnx"))
"""

from onnxhybrid.inspection.description import Description, describe
from onnxhybrid.inspection.installation import Installation, installation

__all__ = ["Description", "Installation", "describe", "installation"]
