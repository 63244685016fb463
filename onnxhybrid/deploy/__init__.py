"""Deployments: folders with all that a service needs to serve a model.

`oh.deploy.azureml` writes the bundle of an AzureML online endpoint, `oh.deploy.triton` a model repository of Triton.
"""

from onnxhybrid.deploy.azureml import azureml
from onnxhybrid.deploy.triton import triton

__all__ = ["azureml", "triton"]
