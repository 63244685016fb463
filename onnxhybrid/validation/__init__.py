"""Checks of whole models: what would keep one from running, or from being safe."""

from onnxhybrid.validation.rules import validate

__all__ = ["validate"]
