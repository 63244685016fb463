"""The way to Ray: what is needed of it, and the cluster that this process belongs to."""

from __future__ import annotations

import os
from types import ModuleType

from onnxhybrid.errors import Error

HEAD = {"node:__internal_head__": 0.001}
"""What an actor asks for that is to be on the head node, the one that stays as long as its cluster."""


def require_ray(wanted_by: str) -> ModuleType:
    """Ray itself, which is imported here for the first time.

    Raises:
        Error: OH551, the extra is not installed.
    """
    try:
        import ray
    except ModuleNotFoundError as problem:
        if problem.name is None or problem.name.partition(".")[0] != "ray":
            raise
        raise Error("OH551", f'{wanted_by} needs ray: pip install "onnxhybrid[ray]"') from None
    module: ModuleType = ray
    return module


def connected(wanted_by: str) -> ModuleType:
    """Ray, with a cluster: the one of this process, the one that RAY_ADDRESS names, or a new one of this machine.

    Raises:
        Error: OH551, the extra is not installed; OH672, there is no such cluster.
    """
    ray = require_ray(wanted_by)
    if not ray.is_initialized():
        if "RAY_ADDRESS" not in os.environ:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what leaves this machine was not asked for
        try:
            ray.init(include_dashboard=False, log_to_driver=False)
        except (ConnectionError, OSError, RuntimeError, ValueError) as problem:
            raise Error("OH672", f"{wanted_by} found no Ray cluster: {problem}") from None
    return ray
