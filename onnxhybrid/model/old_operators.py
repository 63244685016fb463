"""The operators of onnxruntime-extensions 0.9 to 0.14 that called servers: what they are called."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto, NodeProto

from onnxhybrid.model.graphs import all_nodes

DOMAIN = "com.microsoft.extensions"
"""Their domain, at version 1. Later versions of onnxruntime-extensions keep other operators in it."""

OPENAI_AUDIO = "OpenAIAudioToText"
AZURE_AUDIO = "AzureAudioToText"
AZURE_TEXT = "AzureTextToText"
TRITON = "AzureTritonInvoker"
OPERATORS = frozenset({OPENAI_AUDIO, AZURE_AUDIO, AZURE_TEXT, TRITON})

TOKEN = "auth_token"  # a name
"""What the first input of each is called."""


def is_old(node: NodeProto) -> bool:
    """Whether a node is one of the old operators."""
    return node.domain == DOMAIN and node.op_type in OPERATORS


def old_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every old operator of a model, in branches and functions too."""
    return filter(is_old, all_nodes(model))
