"""Answers that all protocols share: JSON, and the protocol's own form of error for every request that is not served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.json_text import json_bytes

_SOON = {"Retry-After": "1"}


def json_response(value: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json_bytes(value), status, headers, media_type="application/json")


def text_response(pieces: Iterable[bytes]) -> Response:
    """An answer of JSON text in pieces."""
    return Response(b"".join(pieces), media_type="application/json")


def error_form(message: str, status: int, path: str) -> dict[str, Any]:
    """An error as the protocol gives it to which a path belongs: the OpenAI API's, or that of KServe v2 and Triton."""
    if not path.startswith(("/v1/", "/openai/")):
        return {"error": message}
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def error_response(message: str, status: int, headers: Mapping[str, str] | None = None, path: str = "/") -> Response:
    """An error, in the form of the protocol to which `path` belongs."""
    more = _SOON if status == 503 else {}
    return json_response(error_form(message, status, path), status, {**more, **(headers or {})})


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestError)
    return error_response(problem.message, problem.status, path=request.scope["path"])


async def _http(request: Request, problem: Exception) -> Response:
    """What Starlette refuses by itself: no such path, another method, or a form that is none."""
    assert isinstance(problem, HTTPException)
    return error_response(problem.detail, problem.status_code, problem.headers, request.scope["path"])


async def _gone(_: Request, problem: Exception) -> Response:
    """The client left while it sent its request; nobody reads this."""
    return error_response("the request ended early", 400)


async def _unforeseen(request: Request, problem: Exception) -> Response:
    """A defect of the endpoint. The server logs the traceback; the client learns no more than that."""
    return error_response("internal error", 500, path=request.scope["path"])


HANDLERS: dict[Any, ExceptionHandler] = {
    RequestError: _refused,
    HTTPException: _http,
    ClientDisconnect: _gone,
    Exception: _unforeseen,
}
"""Starlette's exception handlers, by the class that each answers."""
