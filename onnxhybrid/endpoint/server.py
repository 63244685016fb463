"""The endpoint's server: one thread with an event loop of its own, for as long as a with statement runs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from ipaddress import ip_address
from types import TracebackType
from typing import Any, final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from onnxhybrid.endpoint import azureml, kserve, openai
from onnxhybrid.endpoint.answers import HANDLERS
from onnxhybrid.endpoint.guards import SizeGuard, TokenGuard
from onnxhybrid.endpoint.served import ModelLike, ServedModel
from onnxhybrid.errors import Error

_THREADS = 32
"""The most requests that run at once; a model that waits for a remote part of its own costs no core."""

_GRACE = 5
"""Seconds that requests have to end when the endpoint closes."""

_IDLE = 75
"""Seconds that an idle connection is kept for a client that pools it."""


@final
class Endpoint:
    """An HTTP server for models, to be used in a with statement, once.

    It listens from the start and answers inside the with statement. `.url` is its base URL.
    """

    def __init__(
        self, models: Mapping[str, ModelLike], host: str, port: int, token: str | None, max_request_bytes: int
    ) -> None:
        _check(models, host, port, token, max_request_bytes)
        self._threads = ThreadPoolExecutor(_THREADS, "onnxhybrid endpoint")
        app = application(models, self._threads, token, max_request_bytes)
        self._socket = _listen(host, port)
        self.url = _url(self._socket)
        self._started: Future[None] = Future()
        self._server = _Server(app, self._started)
        self._thread = threading.Thread(target=self._serve, name=f"onnxhybrid endpoint {self.url}", daemon=True)

    def __enter__(self) -> Endpoint:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._threads.shutdown()  # waits for models that still run: a process must not end in the middle of one

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as problem:
            if self._started.done():
                raise
            self._started.set_exception(problem)  # it belongs to the caller, who waits for the start
        finally:
            self._socket.close()


def _check(models: object, host: object, port: object, token: object, max_request_bytes: object) -> None:
    """Hold the arguments' kinds against what the endpoint takes.

    Raises:
        Error: OH552, one is of another kind.
    """
    if not isinstance(models, Mapping) or not all(isinstance(name, str) for name in models):
        raise Error("OH552", "models is a mapping of names to models or the paths of their files")
    for name, value, kinds in (
        ("host", host, (str,)), ("port", port, (int,)), ("token", token, (str, type(None))),
        ("max_request_bytes", max_request_bytes, (int,)),
    ):  # fmt: skip
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise Error("OH552", f"{name} is {kinds[0].__name__}, not {type(value).__name__}")


def application(
    models: Mapping[str, ModelLike], threads: Executor, token: str | None, max_request_bytes: int
) -> ASGIApp:
    """The ASGI application that serves `models`, which run on `threads`.

    Raises:
        Error: OH552, an argument cannot be used; or what loading a model raised.
    """
    if max_request_bytes < 1:
        raise Error("OH552", f"max_request_bytes is {max_request_bytes}; it has to be above 0")
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise Error("OH552", "the token has to be a string of visible ASCII characters")
    served = {name: ServedModel.of(name, model) for name, model in models.items()}
    guards = [Middleware(SizeGuard, limit=max_request_bytes)]
    if token is not None:
        guards.insert(0, Middleware(TokenGuard, token=token))
    routes = [
        *kserve.routes(served, threads, max_request_bytes),
        *openai.routes(served, threads),
        *azureml.routes(served, threads),
    ]
    app = Starlette(routes=routes, middleware=guards, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False  # the protocols know no redirects, and clients do not follow them
    return app


class _Server(uvicorn.Server):
    """A uvicorn server that says when it has started."""

    def __init__(self, app: ASGIApp, started: Future[None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=_IDLE,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._has_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does."""
        await super().startup(sockets=sockets)
        self._has_started.set_result(None)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; clients wait in its queue until the server is up.

    Raises:
        Error: OH552, there is no such address, or it is taken.
    """
    if not 0 <= port <= 65535:
        raise Error("OH552", f"{port} is no port; ports are 0 (a free one) to 65535")
    if not host:  # the system would take it for all of the machine's addresses
        raise Error("OH552", "the host is empty; use 0.0.0.0 or :: for all addresses")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _bound(found[0][0], found[0][4])
    except (OSError, UnicodeError) as problem:
        raise Error("OH552", f"the endpoint cannot listen on {host}:{port}: {problem}") from None


def _bound(family: socket.AddressFamily, address: Any) -> socket.socket:
    """A socket that listens on `address`.

    It names its protocol, unlike one of socket.create_server: asyncio sets TCP_NODELAY on such sockets only, and
    without it each answer waits 40 ms for the client's delayed acknowledgement.
    """
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two programs listen on one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    """The base URL by which a client on this machine reaches the socket."""
    address, port = listening.getsockname()[:2]
    ip = ip_address(address)
    if ip.is_unspecified:  # all of the machine's addresses, of which a client needs one
        ip = ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return f"http://{ip}:{port}" if ip.version == 4 else f"http://[{ip}]:{port}"
