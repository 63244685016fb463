"""Builders of remote models: a Model whose graph is one call to a server."""

from onnxhybrid.remote.credential import Credential
from onnxhybrid.remote.triton import triton

__all__ = ["Credential", "triton"]
