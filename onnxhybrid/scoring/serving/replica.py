"""One replica of a deployment: a session, requests that are run together, and KServe v2 in front."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from ray import serve
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from onnxhybrid.cluster.broking import open_broker
from onnxhybrid.cluster.share import Share
from onnxhybrid.endpoint import kserve, metrics
from onnxhybrid.endpoint.answers import HANDLERS
from onnxhybrid.endpoint.guards import MemoryGuard, SizeGuard
from onnxhybrid.endpoint.memory import Memory
from onnxhybrid.endpoint.served import ServedModel
from onnxhybrid.errors import Error
from onnxhybrid.runtime import Session
from onnxhybrid.runtime.statistics import Statistics
from onnxhybrid.scoring.serving.health import Health
from onnxhybrid.scoring.serving.settings import Settings
from onnxhybrid.scoring.serving.together import Array, Question, alike, count, joined, parted, rows_in

_BATCHES = 8
"""Runs under way at once: while a remote answers one, local computes others."""

_THREADS = 64
"""Requests that are read and answered at once; each waits in one for its run."""

_MAX_BYTES = 256 << 20
_MEMORY = 1 << 30

_SETTLING = 1.0
"""Seconds between two times that a replica gives back what it does not use of the budget."""


def _rows(questions: list[Question]) -> int:
    return sum(question.rows for question in questions)


@serve.ingress()
class Replica:
    """A replica of a hybrid. Ray Serve makes it."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        """Open the session, once there is a share of the limits for it.

        Raises:
            Error: as `oh.Session`.
        """
        self._settings, self._health = settings, Health()
        self._loop = asyncio.get_running_loop()
        self._share: Share | None = None
        self._session = await asyncio.to_thread(self._opened)
        model = settings.model.model()
        self._with_rows = rows_in(model, settings.batch)
        self._most = settings.batch or settings.rows
        self._together.set_max_batch_size(self._most)
        self._together.set_batch_wait_timeout_s(settings.wait)
        self._served = ServedModel.of(settings.name, settings.model.path or model, 0, runner=_Handing(self))
        if self._share is not None:
            self._settling = asyncio.ensure_future(self._settle())

    def _opened(self) -> Session:
        settings, given = self._settings, dict(self._settings.session)
        if settings.broker is not None:
            broker = open_broker(given["policy"], settings.replicas, settings.broker)
            self._share = Share(broker, given["policy"])
            given["policy"] = self._share.policy
        session = Session(settings.model.path or settings.model.model(), **given)
        if self._share is not None:
            self._share.belongs_to(session)
        return session

    async def _settle(self) -> None:
        assert self._share is not None
        while True:
            await asyncio.sleep(_SETTLING)
            self._share.settle()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The application that Ray Serve's proxy hands requests to."""
        guards = [
            Middleware(metrics.Meter, traffic=metrics.Traffic()),
            Middleware(SizeGuard, limit=_MAX_BYTES),
            Middleware(MemoryGuard, memory=Memory(_MEMORY), limit=_MAX_BYTES),
        ]
        threads = ThreadPoolExecutor(_THREADS, "onnxhybrid serve")
        routes = kserve.routes({self._settings.name: self._served}, threads, _MAX_BYTES)
        app = Starlette(routes=routes, middleware=guards, exception_handlers=HANDLERS)
        app.router.redirect_slashes = False  # the protocol knows no redirects, and clients do not follow them
        return _with_lifespan(app)

    def check_health(self) -> None:
        """Raise where the session fails by itself, so that Ray Serve replaces the replica."""
        self._health.check()

    async def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """The outputs (all where none are named) for inputs, for calls by a deployment's handle."""
        wanted = tuple(outputs or self._served.outputs)
        answer = await self.answer(wanted, {name: np.asarray(value) for name, value in feeds.items()})
        return dict(zip(wanted, answer, strict=True))

    def stats(self) -> Statistics:
        """What the remote nodes of this replica did."""
        return self._session.stats()

    async def answer(self, wanted: tuple[str, ...], feeds: Mapping[str, Array]) -> list[Array]:
        """What one request asks, run together with others where that is possible."""
        rows = None if self._with_rows is None else count(feeds, self._with_rows)
        question = Question(wanted, feeds, rows or 1)
        if rows is None or rows > self._most:
            return await self._alone(question)
        answer: list[Array] | BaseException = await self._together(question)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @serve.batch(  # type: ignore[untyped-decorator]  # it carries no types
        max_batch_size=1, batch_wait_timeout_s=0.0, batch_size_fn=_rows, max_concurrent_batches=_BATCHES
    )
    async def _together(self, questions: list[Question]) -> list[list[Array] | BaseException]:
        """The answers to questions, in order; an exception in the place of one that failed."""
        assert self._with_rows is not None
        found: dict[int, list[Array] | BaseException] = {}
        for places in alike(questions, self._with_rows):
            found.update(zip(places, await self._as_one([questions[place] for place in places]), strict=True))
        return [found[place] for place in range(len(questions))]

    async def _as_one(self, questions: list[Question]) -> list[list[Array] | BaseException]:
        """The answers to questions that are alike. Where a run fails by what one of them holds, each is run alone."""
        assert self._with_rows is not None
        try:
            outputs = await self._run(questions[0].wanted, joined(questions, self._with_rows))
        except Exception as problem:  # noqa: BLE001  # it belongs to those who asked
            if len(questions) > 1 and _may_be_ones(problem):
                return await asyncio.gather(*map(self._alone, questions), return_exceptions=True)
            return [problem] * len(questions)
        parts = parted(questions, outputs)
        if parts is not None:
            return list(parts)
        if len(questions) == 1:
            return [outputs]
        return await asyncio.gather(*map(self._alone, questions), return_exceptions=True)

    async def _alone(self, question: Question) -> list[Array]:
        return await self._run(question.wanted, dict(question.feeds))

    async def _run(self, wanted: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        try:
            outputs = await self._session.arun(wanted, feeds)
        except BaseException as problem:
            self._health.failed(problem)
            raise
        self._health.went_well()
        return outputs

    def __del__(self) -> None:
        share = getattr(self, "_share", None)
        if share is not None:
            share.leave()


def _with_lifespan(app: ASGIApp) -> ASGIApp:
    """The application, which is also told of its beginning and its end; the guards know requests alone."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    return told


def _may_be_ones(problem: Exception) -> bool:
    """Whether a run may have failed by what one of several requests holds."""
    status = getattr(problem, "status", None)
    if isinstance(problem, Error) and problem.code == "OH503":
        return status is not None and 400 <= status < 500 and status not in (401, 403, 408, 429)
    return isinstance(problem, Error) and problem.code in (
        "OH504",
        "OH505",
        "OH506",
        "OH507",
        "OH509",
        "OH540",
        "OH543",
    )


class _Handing:
    """Hands what the protocol's threads ask on to the replica's event loop."""

    def __init__(self, replica: Any) -> None:
        self._replica, self._loop = replica, asyncio.get_running_loop()

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any]) -> list[Any]:
        """As `Session.run`."""
        asked = self._replica.answer(tuple(output_names or ()), input_feed)
        answer: list[Any] = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        return answer

    def stats(self) -> Statistics:
        """As `Session.stats`."""
        statistics: Statistics = self._replica.stats()
        return statistics
