"""What every request has to pass before a route sees it: its size, the host that it names, the token, memory."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onnxhybrid.endpoint.answers import error_response
from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.hosts import Hosts, named_by
from onnxhybrid.endpoint.memory import Hold, Memory, Share
from onnxhybrid.endpoint.returning import give_back

_EMPTY = 16 << 10
"""Bytes that a request takes whatever its body is: buffers, headers, tasks."""


class HostGuard:
    """Answers 421 to requests that name a host which is not the endpoint's, and 400 to those that name none."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        authority, scope = _target(scope)
        given = [value for name, value in scope["headers"] if name == b"host"]
        hosts = [named_by(value) for value in (*given, *([] if authority is None else [authority]))]
        if len(given) != 1 or None in hosts:
            refusal = error_response("the request has to name one host, in a Host header", 400, path=scope["path"])
        elif not all(host is not None and self._hosts.admit(host) for host in hosts):
            message = "the endpoint does not answer for this host; whoever runs it can name it in allow_hosts"
            refusal = error_response(f"{message} or --allow-host", 421, path=scope["path"])
        else:
            await self._app(scope, receive, send)
            return
        await refusal(scope, receive, send)


def _target(scope: Scope) -> tuple[bytes | None, Scope]:
    """The authority that the target names, as that of a request to a proxy does, and the scope of its path alone."""
    raw: bytes = scope["raw_path"]
    scheme, separator, rest = raw.partition(b"://")
    if raw.startswith(b"/") or not separator or scheme.lower() not in (b"http", b"https"):
        return None, scope
    authority, _, path = rest.partition(b"/")
    decoded = scope["path"].partition("://")[2].partition("/")[2]
    return authority, {**scope, "raw_path": b"/" + path, "path": "/" + decoded}


class TokenGuard:
    """Answers 401 to requests without `Authorization: Bearer <token>`, or the `api-key` of Azure OpenAI's clients."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self._admits(scope["headers"]):
            await self._app(scope, receive, send)
            return
        asked = {"WWW-Authenticate": "Bearer"}
        await error_response("a valid bearer token is required", 401, asked, scope["path"])(scope, receive, send)

    def _admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = [(name, value) for name, value in headers if name in (b"authorization", b"api-key")]
        name, value = given[0] if len(given) == 1 else (b"", b"")
        scheme, _, token = value.partition(b" ") if name == b"authorization" else (b"bearer", b"", value)
        # in constant time, so that a wrong token's answer says nothing of how much of it was right
        return hmac.compare_digest(token, self._token) and scheme.lower() == b"bearer"


class SizeGuard:
    """Answers 413 to requests that declare a body of more than `limit` bytes, before any of it is read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > self._limit:
            message = too_large(self._limit).message
            await error_response(message, 413, path=scope["path"])(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class MemoryGuard:
    """Gives a request its share of `memory` until its answer has left, and its body to the route in one piece."""

    def __init__(self, app: ASGIApp, memory: Memory, limit: int) -> None:
        self._app = app
        self._memory = memory
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        share = self._memory.share()
        try:
            share.hold(_EMPTY)
            await self._app({**scope, Share.KEY: share}, _whole(receive, share.hold, self._limit), _to_the_end(send))
        except RequestError as problem:  # there is no room even for a request without a body
            await error_response(problem.message, problem.status, path=scope["path"])(scope, receive, send)
        finally:
            if share.release():
                asyncio.get_running_loop().run_in_executor(None, give_back)


def _whole(receive: Receive, hold: Hold, limit: int) -> Receive:
    """`receive`, whose first message is all of the body: pieces of a few bytes each would take many times their size.

    It raises a RequestError, status 413, once more than `limit` bytes came: a chunked body has no length to look at.
    """
    pending = True

    async def whole() -> Message:
        nonlocal pending
        if not pending:
            return await receive()
        pending, body = False, BytesIO()
        while (message := await receive())["type"] == "http.request":
            piece = message.get("body", b"")
            if body.tell() + len(piece) > limit:
                raise too_large(limit)
            hold(len(piece))
            body.write(piece)
            if not message.get("more_body", False):
                return {**message, "body": body.getvalue()}
        return message

    return whole


def _to_the_end(send: Send) -> Send:
    """`send`, which returns from the last piece of an answer when the client has taken it, or is gone."""

    async def sent(message: Message) -> None:
        last: dict[str, Any] = {"type": "http.response.body", "body": b""}
        if message["type"] != "http.response.body" or message.get("more_body", False):
            await send(message)
        else:
            await send({**message, "more_body": True})
            await send(last)  # the server waits here while the connection's buffer is full

    return sent


def too_large(limit: int) -> RequestError:
    """The refusal of a request whose body is larger than the limit."""
    return RequestError(f"the request is larger than the {limit} bytes that are accepted", 413)
