"""A worker's share of the limits: what its session may do, and what the broker lends it while it runs."""

from __future__ import annotations

import dataclasses
import pickle
import threading
import time
from typing import Any, final

from onnxhybrid.cluster.amounts import Amount
from onnxhybrid.cluster.connection import require_ray
from onnxhybrid.runtime import Session
from onnxhybrid.runtime.lending import NO, LentPolicy, allow
from onnxhybrid.runtime.policy import Policy

_PATIENCE = 15.0
"""Seconds that a broker has to come back in, where it died."""

_PAUSE = 0.1


@final
class Share:
    """The share of this process, an actor of the cluster. Any thread may use it.

    Args:
        broker: the handle of the broker.
        policy: the policy whose limits it shares out.
    """

    def __init__(self, broker: Any, policy: Policy) -> None:
        self._ray, self._broker = require_ray("a worker"), broker
        context = self._ray.get_runtime_context()
        self._worker = str(context.get_actor_id())
        self._lock = threading.Lock()
        self._allowed = Amount()
        self._session: Session | None = None
        places = self._asked("join", self._worker, pickle.dumps(context.current_actor))
        changed: dict[str, Any] = {"max_concurrency": places} if places else {}
        if policy.budget is None:
            self.policy: Policy = dataclasses.replace(policy, **changed)
        else:
            self.policy = LentPolicy.of(policy, self._lend, **changed)

    def belongs_to(self, session: Session) -> None:
        """Tell which session was opened with `policy`."""
        self._session = session

    def settle(self) -> None:
        """Give back what the session did not use, and tell what its audits found. Nothing waits for that."""
        if self._session is None:
            return
        unused = Amount()
        with self._lock:
            if isinstance(self.policy, LentPolicy):
                spent = Amount.of(allow(self._session._scope, {}))
                unused, self._allowed = self._allowed - spent, spent
        audits = self._session.audit()
        if unused or audits:
            self._broker.settle.remote(self._worker, unused.to_json(), audits)

    def leave(self) -> None:
        """Give back everything."""
        self.settle()
        self._broker.leave.remote(self._worker)

    def _lend(self, needed: dict[str, int], within: float) -> str:
        """Answer the operator library, as `LentPolicy` says."""
        with self._lock:
            need = {kind: most - getattr(self._allowed, kind) for kind, most in needed.items()}
            if all(more <= 0 for more in need.values()):  # what was asked for came meanwhile
                return ""
            try:
                short = {kind: max(more, 0) for kind, more in need.items()}
                share = self._asked("lend", self._worker, short, within)
            except Exception as problem:  # noqa: BLE001  # none may reach the library
                return f"{type(problem).__name__}: {problem}"
            if isinstance(share, str):
                return share or NO
            self._allowed += Amount.of(share)
            assert self._session is not None
            allow(self._session._scope, self._allowed.to_json())
            return ""

    def _asked(self, method: str, *given: Any) -> Any:
        """What the broker answers. One that died is asked again when it is back; what it had lent is not lent again."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._ray.get(getattr(self._broker, method).remote(*given))
            except self._ray.exceptions.ActorUnavailableError:
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)
