"""An embedded endpoint: serves ONNX models over HTTP as the real services do, for tests, demos and small deployments.

    with oh.endpoint.serve({"digits": "large.onnx"}) as endpoint:
        remote = oh.remote.triton(endpoint.url, "digits")

It needs the extra `endpoint` (Starlette and uvicorn).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from onnxhybrid.errors import Error

if TYPE_CHECKING:
    from onnxhybrid.endpoint.server import Endpoint
    from onnxhybrid.model import Model

__all__ = ["serve"]


def serve(
    models: Mapping[str, Model | str | os.PathLike[str]],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    token: str | None = None,
    max_request_bytes: int = 256 << 20,
) -> Endpoint:
    """Serve models over HTTP: a context manager whose `.url` is the base URL for clients.

    Models run in a pool of threads and are served by three protocols at once:

    - KServe v2 with Triton's binary tensor data extension, for `oh.remote.triton(endpoint.url, name)` and
      `tritonclient.http`; each model has the version "1".
    - The OpenAI API below `/v1`, and Azure's form below `/openai/deployments/<name>`, for
      `oh.remote.openai_chat(name, url=endpoint.url + "/v1")` and the `openai` client: a model uint8 -> str transcribes,
      str -> str chats, str -> float32 embeds.
    - AzureML scoring at `/score`, for `oh.remote.azureml(endpoint.url + "/score", …)`.

    Args:
        models: the models, or the paths of their files, by the names under which they are served.
        host: the address to listen on; the default serves this machine only.
        port: the port to listen on; 0 takes a free one.
        token: when given, requests need the header `Authorization: Bearer <token>`, or `api-key: <token>`.
        max_request_bytes: larger requests are answered with status 413.

    Raises:
        Error: OH551, the extra is not installed; OH552, an argument cannot be used or the address is taken; or what
            loading a model raised.
    """
    try:
        from onnxhybrid.endpoint.server import Endpoint
    except ModuleNotFoundError as problem:
        if problem.name is None or problem.name.partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        message = f'oh.endpoint needs {problem.name}: pip install "onnxhybrid[endpoint]"'
        raise Error("OH551", message) from None
    return Endpoint(models, host, port, token, max_request_bytes)
