"""What a driver does with a broker: start it where limits have to be shared, and end it."""

from __future__ import annotations

import uuid
from typing import Any

from onnxhybrid.cluster.connection import HEAD, connected
from onnxhybrid.cluster.office import NAMESPACE, Office
from onnxhybrid.errors import Error
from onnxhybrid.runtime.policy import Policy

_LAST = 5.0
"""Seconds that a broker has to leave nothing behind."""


def is_limited(policy: Policy | None) -> bool:
    """Whether a policy has limits that workers share."""
    return policy is not None and (policy.max_concurrency is not None or policy.budget is not None)


def open_broker(policy: Policy, workers: int, name: str | None = None) -> Any:
    """The handle of a broker of a policy's limits, which is alive.

    Args:
        policy: the policy; a ledger of its budget is a file of the head node.
        workers: how many workers there will be at most.
        name: where it stays when this process ends, its name, under which there may be one already.

    Raises:
        Error: what the broker raised: OH581, its ledger cannot be used; OH672, there is no cluster.
    """
    ray = connected("a broker of limits")
    stays: dict[str, Any] = {} if name is None else {"lifetime": "detached", "get_if_exists": True}
    name = f"run-{uuid.uuid4().hex}" if name is None else name
    actor = ray.remote(Office).options(
        name=f"onnxhybrid-{name}", namespace=NAMESPACE, num_cpus=0, resources=HEAD, max_restarts=-1,
        max_concurrency=100_000, **stays,
    )  # fmt: skip
    broker = actor.remote(name, policy, workers)
    try:
        ray.get(broker.standing.remote())
    except ray.exceptions.RayError as problem:
        cause = getattr(problem, "cause", None)
        raise (cause if isinstance(cause, Error) else Error("OH670", f"the broker did not start: {problem}")) from None
    return broker


def close_broker(broker: Any) -> None:
    """End a broker, which leaves nothing behind."""
    ray = connected("a broker of limits")
    ray.wait([broker.forget.remote()], timeout=_LAST)
    ray.kill(broker, no_restart=True)
