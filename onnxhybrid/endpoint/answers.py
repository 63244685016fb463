"""Answers that all protocols share: JSON, and `{"error": …}` for every request that is not served."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.messages import json_bytes

_LOG = logging.getLogger("onnxhybrid.endpoint")


def json_response(value: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json_bytes(value), status, headers, media_type="application/json")


def error_response(message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the form that KServe v2 and Triton give it."""
    return json_response({"error": message}, status, headers)


async def _refused(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestError)
    if problem.status >= 500:
        _LOG.error("%s", problem.message)
    return error_response(problem.message, problem.status)


async def _http(_: Request, problem: Exception) -> Response:
    """What Starlette refuses by itself: no such path, or another method."""
    assert isinstance(problem, HTTPException)
    return error_response(problem.detail, problem.status_code, problem.headers)


async def _gone(_: Request, problem: Exception) -> Response:
    """The client left while it sent its request; nobody reads this."""
    return error_response("the request ended early", 400)


async def _unforeseen(_: Request, problem: Exception) -> Response:
    """A defect of the endpoint. The server logs the traceback; the client learns no more than that."""
    return error_response("internal error", 500)


HANDLERS: dict[Any, ExceptionHandler] = {
    RequestError: _refused,
    HTTPException: _http,
    ClientDisconnect: _gone,
    Exception: _unforeseen,
}
"""Starlette's exception handlers, by the class that each answers."""
