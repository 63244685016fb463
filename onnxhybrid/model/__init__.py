"""Models as values: loading by reference, editing, aligning, saving."""

from onnxhybrid.model.model import Model, load
from onnxhybrid.model.remote_spec import RemoteSpec
from onnxhybrid.model.tensor_spec import Input, TensorSpec

__all__ = ["Input", "Model", "RemoteSpec", "TensorSpec", "load"]
