"""A small remote model in each protocol, with a right answer of its server and the faults that only it can meet."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import onnxhybrid as oh
from tests.servers.faults import Fault, Good, answers, grpc, messages, protocols, wire

Array = npt.NDArray[Any]
X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
Y = np.array([[1, 2], [3, 4]], np.float32)
_SPECS: dict[str, Any] = {
    "inputs": [oh.TensorSpec("x", "float32", ("n", 3))],
    "outputs": [oh.TensorSpec("y", "float32", ("n", 2))],
}
_VERSION = "2024-10-21"


@dataclass(frozen=True)
class Dialect:
    """A protocol, as one model speaks it."""

    name: str
    build: Callable[..., oh.Model]
    """Takes the URL and the options that all remote models have."""
    feeds: dict[str, Array]
    value: Array
    good: Good
    faults: Sequence[Fault] = field(repr=False)
    scheme: str = "http"


_HTTP = (*wire.SOCKET, *wire.EARLY, *wire.FRAMING, *wire.TLS, *answers.STATUSES, *answers.HEADERS, *answers.SIZES)
_FILE = {"file": np.frombuffer(bytes(range(256)), np.uint8)}
_RIGHT = np.array(["right"], object)
_TEXT = Good(b'{"text": "right"}')
_CHAT = Good(b'{"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "right"}}]}')
_VECTORS = [{"index": row, "embedding": base64.b64encode(Y[row].tobytes()).decode()} for row in range(2)]
_EMBEDDED = Good(json.dumps({"object": "list", "data": _VECTORS}).encode())
_PROMPT, _TEXTS = {"prompt": np.array(["hi"])}, {"text": np.array(["a", "b"])}
_JSON = (*_HTTP, *answers.JSON)
_OTHER = (*answers.HEADERS, *answers.JSON)
"""For protocols that differ from another in their addresses alone: enough to see that nothing else differs."""


def _triton(url: str, **options: Any) -> oh.Model:
    return oh.remote.triton(url, "adder", **_SPECS, **options)


def _scored(form: Literal["named", "data"]) -> Callable[..., oh.Model]:
    return lambda url, **options: oh.remote.azureml(url, form=form, **_SPECS, **options)


def _openai(build: Callable[..., oh.Model], **own: Any) -> Callable[..., oh.Model]:
    return lambda url, **options: build("m", url=url, **own, **options)


def _azure(build: Callable[..., oh.Model], **own: Any) -> Callable[..., oh.Model]:
    return lambda url, **options: build(url, "m", api_version=_VERSION, **own, **options)


_RESPONSE = Good(b'{"id": "r", "object": "response", "status": "completed", "output": [{"type": "message", "content": '
                 b'[{"type": "output_text", "text": "right"}]}]}')  # fmt: skip

DIALECTS = (
    Dialect("triton.http", _triton, {"x": X}, Y, Good(json.dumps({"outputs": [protocols.OUTPUT]}).encode()),
            (*_JSON, *answers.TYPES_OF_JSON, *protocols.TRITON_HTTP)),
    Dialect("triton.grpc", _triton, {"x": X}, Y, messages.GOOD, (*wire.SOCKET, *wire.TLS, *grpc.FAULTS), "grpc"),
    Dialect("openai.audio", _openai(oh.remote.openai_audio), _FILE, _RIGHT, _TEXT,
            (*_JSON, *answers.TYPES_OF_JSON, *protocols.TEXT)),
    Dialect("openai.audio as text", _openai(oh.remote.openai_audio, response_format="text"), _FILE, _RIGHT,
            Good(b"right", "text/plain"), (*_HTTP, *answers.TYPES_OF_TEXT, *protocols.PLAIN)),
    Dialect("openai.chat", _openai(oh.remote.openai_chat), _PROMPT, _RIGHT, _CHAT,
            (*_JSON, *answers.TYPES_OF_JSON, *protocols.CHAT)),
    Dialect("openai.responses", _openai(oh.remote.openai_responses), _PROMPT, _RIGHT, _RESPONSE,
            (*_OTHER, *answers.TYPES_OF_JSON, *protocols.RESPONSES)),
    Dialect("openai.embeddings", _openai(oh.remote.openai_embeddings), _TEXTS, Y, _EMBEDDED,
            (*_JSON, *answers.TYPES_OF_JSON, *protocols.EMBEDDINGS)),
    Dialect("azureml.score named", _scored("named"), {"x": X}, Y, Good(b'{"y": [[1, 2], [3, 4]]}'),
            (*_JSON, *answers.TYPES_OF_JSON, *protocols.scored("y"))),
    Dialect("azureml.score data", _scored("data"), {"x": X}, Y, Good(b'{"result": [[1, 2], [3, 4]]}'),
            (*_OTHER, *answers.TYPES_OF_JSON, *protocols.scored("result"))),
    Dialect("azure_openai.audio", _azure(oh.remote.azure_openai_audio), _FILE, _RIGHT, _TEXT,
            (*_OTHER, *answers.TYPES_OF_JSON, *protocols.TEXT)),
    Dialect("azure_openai.chat", _azure(oh.remote.azure_openai_chat), _PROMPT, _RIGHT, _CHAT,
            (*_OTHER, *answers.TYPES_OF_JSON, *protocols.CHAT)),
    Dialect("azure_openai.embeddings", _azure(oh.remote.azure_openai_embeddings), _TEXTS, Y, _EMBEDDED,
            (*_OTHER, *answers.TYPES_OF_JSON, *protocols.EMBEDDINGS)),
)  # fmt: skip
