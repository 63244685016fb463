"""Builders of remote models: a Model whose graph is one call to a server."""

from onnxhybrid.remote.auth import Credential
from onnxhybrid.remote.azure_openai import azure_openai_audio, azure_openai_chat, azure_openai_embeddings
from onnxhybrid.remote.azureml import azureml
from onnxhybrid.remote.cache import Cache
from onnxhybrid.remote.hedge import Hedge
from onnxhybrid.remote.named_endpoint import Endpoint
from onnxhybrid.remote.openai import openai_audio, openai_chat, openai_embeddings, openai_responses
from onnxhybrid.remote.triton import triton

__all__ = [
    "Cache",
    "Credential",
    "Endpoint",
    "Hedge",
    "azure_openai_audio",
    "azure_openai_chat",
    "azure_openai_embeddings",
    "azureml",
    "openai_audio",
    "openai_chat",
    "openai_embeddings",
    "openai_responses",
    "triton",
]
