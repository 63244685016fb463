"""What every request has to pass before a route sees it: the token, and the limit of its size."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onnxhybrid.endpoint.answers import error_response
from onnxhybrid.endpoint.failure import RequestError


class TokenGuard:
    """Answers 401 to requests without `Authorization: Bearer <token>`, or the `api-key` of Azure OpenAI's clients."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and not self._admits(scope["headers"]):
            refusal = error_response("a valid bearer token is required", 401, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = [(name, value) for name, value in headers if name in (b"authorization", b"api-key")]
        name, value = given[0] if len(given) == 1 else (b"", b"")
        scheme, _, token = value.partition(b" ") if name == b"authorization" else (b"bearer", b"", value)
        # in constant time, so that a wrong token's answer says nothing of how much of it was right
        return hmac.compare_digest(token, self._token) and scheme.lower() == b"bearer"


class SizeGuard:
    """Answers 413 to requests whose body is larger than `limit` bytes, before they are held in memory."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > self._limit:
            await error_response(self._refusal().message, 413)(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        """`receive`, which raises once more than the limit came: a chunked body has no length to look at."""
        left = self._limit

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._refusal()
            return message

        return counted

    def _refusal(self) -> RequestError:
        return RequestError(f"the request is larger than the {self._limit} bytes that are accepted", 413)
