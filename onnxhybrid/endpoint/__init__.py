"""An embedded endpoint: serves ONNX models over HTTP as the real services do, for tests, demos and small deployments.

    with oh.endpoint.serve({"digits": "large.onnx"}) as endpoint:
        remote = oh.remote.triton(endpoint.url, "digits")

It needs the extra `endpoint` (Starlette and uvicorn).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    allow_hosts: Sequence[str] = (),
    max_request_bytes: int = 256 << 20,
    max_memory_bytes: int = 1 << 30,
    max_connections: int | None = None,
    receive_timeout: float = 60,
    batch: int | Mapping[str, int] | None = None,
) -> Endpoint:
    """Serve models over HTTP: a context manager whose `.url` is the base URL for clients.

    Models run in a pool of threads and are served by three protocols at once:

    - KServe v2 with Triton's binary tensor data extension, for `oh.remote.triton(endpoint.url, name)` and
      `tritonclient.http`; each model has the version "1".
    - The OpenAI API below `/v1`, and Azure's form below `/openai/deployments/<name>`, for
      `oh.remote.openai_chat(name, url=endpoint.url + "/v1")` and the `openai` client: a model uint8 -> str transcribes,
      str -> str chats, str -> float32 embeds.
    - AzureML scoring at `/score`, for `oh.remote.azureml(endpoint.url + "/score", …)`.

    `/metrics` tells Prometheus what it did.

    Args:
        models: the models, or the paths of their files, by the names under which they are served.
        host: the address to listen on; the default serves this machine only.
        port: the port to listen on; 0 takes a free one.
        token: when given, requests need the header `Authorization: Bearer <token>`, or `api-key: <token>`.
        allow_hosts: further hosts that requests may name in their Host header (names or IP addresses without ports, or
            `*` for all). Others are refused with status 421, so that no web page reaches the endpoint through a name of
            its own. Known without it are `localhost`, loopback's addresses and `host`; where the address is not one of
            loopback, all IP addresses and the machine's own name, too, since other machines need one to reach it.
        max_request_bytes: larger requests are answered with status 413.
        max_memory_bytes: what all requests under way hold together, from their bytes to their tensors and answers. A
            request that needs more by itself is answered with status 413, one for which there is no room beside
            others with 503. What a model takes while it runs is not counted.
        max_connections: the most connections; None for half of what the process may open, 1000 at most. Where there are
            more, that which has been waiting for its client for the longest is closed.
        receive_timeout: the seconds in which a request has to arrive; its head has 15 of them at most. An answer of
            which less than 16 KiB a second is taken in as many seconds is given up.
        batch: rows that a model is given at once, so that what it takes while it runs is bounded: for all models that
            have rows, or by name; 0 for all rows of a request. A larger batch is run in slices, one after the other.
            Who gives a number says that the model answers each row by itself. With None that is so where all of its
            operators are known to look at one row at a time: it is given 1024 rows, and 4 MB, at most. Other models,
            hybrids among them, are given what came.

    Raises:
        Error: OH551, the extra is not installed; OH552, an argument cannot be used or the address is taken; or what
            loading a model raised.
    """
    try:
        from onnxhybrid.endpoint.server import Endpoint
        from onnxhybrid.endpoint.settings import Settings, hosts_given, most_connections
    except ModuleNotFoundError as problem:
        if problem.name is None or problem.name.partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        message = f'oh.endpoint needs {problem.name}: pip install "onnxhybrid[endpoint]"'
        raise Error("OH551", message) from None
    connections = most_connections() if max_connections is None else max_connections
    hosts = hosts_given(allow_hosts)
    settings = Settings(token, hosts, max_request_bytes, max_memory_bytes, connections, receive_timeout, batch)
    return Endpoint(models, host, port, settings)
