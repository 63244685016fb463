"""The routes of KServe v2 (the Open Inference Protocol) over HTTP, with Triton's binary tensor data extension.

Sources: https://github.com/kserve/open-inference-protocol and docs/protocol of the Triton server.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from io import BytesIO

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onnxhybrid import __version__
from onnxhybrid.endpoint.answers import json_response
from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.memory import Hold, allowance, hold_of
from onnxhybrid.endpoint.messages import InferRequest, compose_response, object_length, parse_request, raw_request
from onnxhybrid.endpoint.metrics import asks
from onnxhybrid.endpoint.served import VERSION, ServedModel
from onnxhybrid.endpoint.tensors import BY_DTYPE

_OBJECT_LENGTH = "Inference-Header-Content-Length"

_PACKED = 64 << 10
_UNPACKED = 1 << 20


def routes(models: Mapping[str, ServedModel], threads: Executor, max_request_bytes: int) -> list[Route]:
    """The protocol's routes for `models`, which run on `threads`; a request may unpack to `max_request_bytes`."""

    async def server(_: Request) -> Response:
        return json_response({"name": "onnxhybrid", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def healthy(_: Request) -> Response:
        return Response()

    async def model_ready(request: Request) -> Response:
        _find(models, request)
        return Response()

    async def model_metadata(request: Request) -> Response:
        return json_response(_find(models, request).metadata())

    async def infer(request: Request) -> Response:
        model, body = asks(request, _find(models, request)), await request.body()
        work = partial(_infer, model, body, request.headers, max_request_bytes, hold_of(request))
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    on_server = [Route("/v2", server), Route("/v2/health/live", healthy), Route("/v2/health/ready", healthy)]
    on_model = [("", "GET", model_metadata), ("/ready", "GET", model_ready), ("/infer", "POST", infer)]
    paths = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
    return on_server + [
        Route(path + suffix, answer, methods=[method]) for path in paths for suffix, method, answer in on_model
    ]


def _find(models: Mapping[str, ServedModel], request: Request) -> ServedModel:
    """The model that the path names.

    Raises:
        RequestError: status 404, there is none of that name and version.
    """
    name, version = request.path_params["model"], request.path_params.get("version", VERSION)
    if name not in models:
        raise RequestError(f"Request for unknown model: {quoted(name)} is not found", 404)
    if version != VERSION:
        raise RequestError(f"Request for unknown model: {quoted(name)} version {quoted(version)} is not found", 404)
    return models[name]


def _unpacked(body: bytes, encoding: str, limit: int, hold: Hold) -> bytes:
    """The body behind its Content-Encoding.

    Raises:
        RequestError: the encoding is unknown, the data is damaged, or (status 413) more than `limit` bytes come out, or
            far more than `body` has; or as `hold` says.
    """
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise RequestError(f"Unsupported Content-Encoding {quoted(encoding)}; known are gzip, deflate and identity")
    most, unpacked = min(limit, allowance(len(body))), BytesIO()
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, as the data says
    try:
        for piece in _pieces(unpacker, body):
            if unpacked.tell() + len(piece) > most:
                raise RequestError(f"the request unpacks to more than the {most} bytes that are accepted", 413)
            hold(len(piece))
            unpacked.write(piece)
    except zlib.error as problem:
        raise RequestError(f"the request's {encoding} data is damaged: {problem}") from None
    if not unpacker.eof or unpacker.unused_data:
        raise RequestError(f"the request's {encoding} data is damaged: it does not end where the body ends")
    return unpacked.getvalue()


def _pieces(unpacker: zlib._Decompress, body: bytes) -> Iterator[bytes]:
    """What a packed body holds, a MiB at a time, for what is packed well."""
    for start in range(0, len(body), _PACKED):
        packed = body[start : start + _PACKED]
        while packed:
            yield unpacker.decompress(packed, _UNPACKED)
            packed = unpacker.unconsumed_tail


def _infer(model: ServedModel, body: bytes, headers: Headers, limit: int, hold: Hold) -> Response:
    body = _unpacked(body, headers.get("Content-Encoding", "identity"), limit, hold)
    length = object_length(headers.getlist(_OBJECT_LENGTH), len(body))
    request = _raw(model, body, hold) if length == 0 else parse_request(body, length, hold)
    model.check(header for header, _ in request.inputs.values())
    model.check_outputs(request.outputs)
    outputs = model.run(request.outputs, {name: array for name, (_, array) in request.inputs.items()})
    head = {"model_name": model.name, "model_version": VERSION}
    answer, size = compose_response(head, outputs, request, hold)
    if size is None:
        return Response(answer, media_type="application/json")
    return Response(answer, media_type="application/octet-stream", headers={_OBJECT_LENGTH: str(size)})


def _raw(model: ServedModel, body: bytes, hold: Hold) -> InferRequest:
    """A request without a JSON object, for a model with one input."""
    required = [spec for spec in model.inputs.values() if not spec.optional]
    if len(required) != 1 or required[0].shape is None:
        raise RequestError(f"Raw request needs a model with 1 input of a known rank, and '{model.name}' is none")
    spec = required[0]
    shape = tuple(dim if isinstance(dim, int) else None for dim in required[0].shape)
    return raw_request(spec.name, BY_DTYPE[spec.dtype], shape, body, hold)
