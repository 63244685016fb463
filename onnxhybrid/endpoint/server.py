"""The endpoint's server: one thread with an event loop of its own, for as long as a with statement runs."""

from __future__ import annotations

import functools
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from ipaddress import ip_address
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from onnxhybrid.endpoint import azureml, kserve, metrics, openai
from onnxhybrid.endpoint.answers import HANDLERS
from onnxhybrid.endpoint.connections import Watch, WatchedConfig
from onnxhybrid.endpoint.guards import HostGuard, MemoryGuard, SizeGuard, TokenGuard
from onnxhybrid.endpoint.hosts import Hosts, hosts_of
from onnxhybrid.endpoint.memory import Memory
from onnxhybrid.endpoint.served import ModelLike, ServedModel
from onnxhybrid.endpoint.settings import Settings
from onnxhybrid.errors import Error

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 32
"""The most requests that run at once; a model that waits for a remote part of its own costs no core."""

_GRACE = 5
"""Seconds that requests have to end when the endpoint closes."""

_IDLE = 75
"""Seconds that an idle connection is kept for a client that pools it."""

_ACCEPTED_AT_ONCE = 8
"""Connections that are accepted before the first of them can make another leave: they need descriptors, too."""

_QUEUE = 1024
"""Connections that the system keeps until they are accepted."""


@final
class Endpoint:
    """An HTTP server for models, to be used in a with statement, once.

    It listens from the start and answers inside the with statement. `.url` is its base URL.
    """

    def __init__(self, models: Mapping[str, ModelLike], host: str, port: int, settings: Settings) -> None:
        _check(models, host, port)
        if isinstance(settings.batch, Mapping) and (unknown := sorted(set(settings.batch) - set(models))):
            raise Error("OH552", f"batch names {unknown[0]!r}; the models are {', '.join(models)}")
        self._threads = Threads(_THREADS, "onnxhybrid endpoint")
        served = {name: ServedModel.of(name, model, settings.batch) for name, model in models.items()}
        self._socket = _listen(host, port)
        try:
            hosts = hosts_of(host, self._socket.getsockname()[0], settings.allow_hosts)
        except Error:
            self._socket.close()
            raise
        self.url = _url(self._socket)
        self._started: Future[None] = Future()
        traffic = metrics.Traffic()
        watch = Watch(settings.max_connections, settings.receive_timeout, traffic.disconnected)
        app = application(served, self._threads, settings, hosts, traffic, watch)
        self._server = _Server(app, watch, self._started)
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


def _check(models: object, host: object, port: object) -> None:
    """Hold the arguments' kinds against what the endpoint takes.

    Raises:
        Error: OH552, one is of another kind.
    """
    if not isinstance(models, Mapping) or not all(isinstance(name, str) for name in models):
        raise Error("OH552", "models is a mapping of names to models or the paths of their files")
    for name, value, kind in (("host", host, str), ("port", port, int)):
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Error("OH552", f"{name} is {kind.__name__}, not {type(value).__name__}")


def application(
    served: Mapping[str, ServedModel],
    threads: Executor,
    settings: Settings,
    hosts: Hosts,
    traffic: metrics.Traffic,
    watch: Watch,
) -> ASGIApp:
    """The ASGI application that serves models, which run on `threads`, to requests that name one of `hosts`.

    It counts them in `traffic`, and tells of that and of the connections that `watch` has.
    """
    limit, memory = settings.max_request_bytes, Memory(settings.max_memory_bytes)
    token = [] if settings.token is None else [Middleware(TokenGuard, token=settings.token)]
    guards = [
        Middleware(metrics.Meter, traffic=traffic),
        Middleware(SizeGuard, limit=limit),
        Middleware(HostGuard, hosts=hosts),
        *token,
        Middleware(MemoryGuard, memory=memory, limit=limit),
    ]
    routes = [
        *kserve.routes(served, threads, limit),
        *openai.routes(served, threads),
        *azureml.routes(served, threads),
        *metrics.routes(served, traffic, memory, watch),
    ]
    app = Starlette(routes=routes, middleware=guards, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False  # the protocols know no redirects, and clients do not follow them
    return app


@final
class Threads(ThreadPoolExecutor):
    """Threads on which work has the context of who hands it in, the current span of a trace among it."""

    def submit(self, work: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> Future[T]:
        """Do work on one of them."""
        return super().submit(functools.partial(copy_context().run, work, *given, **named))


class _Server(uvicorn.Server):
    """A uvicorn server that says when it has started."""

    def __init__(self, app: ASGIApp, watch: Watch, started: Future[None]) -> None:
        config = WatchedConfig(
            app,
            watch,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            backlog=_ACCEPTED_AT_ONCE,
            timeout_keep_alive=_IDLE,
            timeout_graceful_shutdown=_GRACE,
        )
        super().__init__(config)
        self._has_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does."""
        await super().startup(sockets=sockets)
        for listening in sockets or ():
            listening.listen(_QUEUE)  # asyncio has made the queue as short as what it accepts at once
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
