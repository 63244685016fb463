"""The broker as one named actor of a Ray cluster: who asks waits in it, and the dead are found out."""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from onnxhybrid.cluster.amounts import Amount
from onnxhybrid.cluster.broker import Broker, No
from onnxhybrid.errors import Error
from onnxhybrid.runtime.policy import Policy

NAMESPACE = "onnxhybrid"
"""Where brokers are found by name."""

_PROBE = 1.0
"""Seconds between two looks at who is still there, while somebody waits."""

_PATIENCE = 8.0
"""Seconds that a request waits for what others may give back of the budget."""


@final
class Office:
    """The actor. What it promises is in `Broker`; here are waits, and what is told across processes.

    Args:
        name: its name, which its folder is called after.
        policy: whose limits it shares out.
        workers: how many workers there will be at most.
    """

    def __init__(self, name: str, policy: Policy, workers: int) -> None:
        self._folder = folder_of(name)
        self._broker = Broker(policy, workers, self._folder)
        self._changed = asyncio.Event()
        self._audits: dict[str, Mapping[str, Any]] = {}

    async def join(self, worker: str, handle: bytes) -> int:
        """The places of a worker, once there are some; 0 for any number. A worker's handle is its pickle."""
        reach = base64.b64encode(handle).decode()
        self._change()  # a worker that was started again holds nothing any more
        while (places := self._broker.join(worker, reach)) is None:
            await self._wait(worker)
        return places

    async def leave(self, worker: str) -> None:
        """Take back what a worker has that is gone."""
        self._broker.leave(worker)
        self._change()

    async def lend(self, worker: str, need: dict[str, int], within: float) -> dict[str, int] | str:
        """A share of the budget within some seconds; a text says why there is none, an empty one that all is spent."""
        until = time.monotonic() + min(_PATIENCE, within / 2)
        try:
            while True:
                share = self._broker.lend(worker, Amount.of(need), time.monotonic())
                if isinstance(share, Amount):
                    return share.to_json()
                if share is No.NOTHING_LEFT or time.monotonic() > until:
                    return ""
                await self._wait(worker, until - time.monotonic())
        except Error as problem:
            return str(problem)

    async def settle(self, worker: str, unused: dict[str, int], audits: Mapping[str, Any] | None = None) -> None:
        """Take back what a worker did not use, and note what its audits found."""
        self._broker.settle(worker, Amount.of(unused))
        if audits:
            self._audits[worker] = audits
        self._change()

    async def standing(self) -> dict[str, Any]:
        """What was spent, the places of each worker, and what the audits of each worker found so far."""
        return {
            "spent": self._broker.spent().to_json(),
            "places": self._broker.workers(),
            "audits": list(self._audits.values()),
        }

    async def forget(self) -> None:
        """Drop what it keeps for the time after a death; a ledger that the policy names stays."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def pid(self) -> int:
        """The process in which it is."""
        return os.getpid()

    def _change(self) -> None:
        """Let those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, worker: str, most: float = _PROBE) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), min(most, _PROBE))
        except asyncio.TimeoutError:
            await self._bury(worker)

    async def _bury(self, asking: str) -> None:
        """Take back the places of workers that died without a word. One that is busy does not answer, and lives."""
        from ray.exceptions import ActorDiedError

        others = [worker for worker in self._broker.workers() if worker != asking and self._broker.reach(worker)]
        looks = {worker: asyncio.ensure_future(_ready(self._broker.reach(worker))) for worker in others}
        if looks:
            await asyncio.wait(looks.values(), timeout=_PROBE)
        for worker, look in looks.items():
            if look.done() and not look.cancelled() and isinstance(look.exception(), ActorDiedError):
                self._broker.leave(worker)
            look.cancel()


async def _ready(reach: str) -> None:
    await pickle.loads(base64.b64decode(reach)).__ray_ready__.remote()


def folder_of(name: str) -> Path:
    """Where a broker keeps what it has to know after a death; made for this user alone."""
    import ray

    cluster = ray.get_runtime_context().get_session_name() if ray.is_initialized() else "none"
    folder = Path(tempfile.gettempdir()) / f"onnxhybrid-broker-{cluster}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
