"""Checks of whole models: what would keep one from running, or from being safe."""

from onnxhybrid.validation.sarif import sarif
from onnxhybrid.validation.validating import validate

__all__ = ["sarif", "validate"]
