"""A Ray cluster of this machine with two processors, on loopback: one for a whole run of tests."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.environments import fill, is_filled

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".ray"


def unsupported() -> str | None:
    """Why Ray does not run here, if it does not."""
    if sys.platform != "linux" or sys.version_info >= (3, 14):
        return "Ray has wheels for Linux and Python 3.13 and earlier among those that the tests run on"
    return None


def require_packages() -> None:
    """Let `import ray` find it: what is installed comes first, then what was put beside, for workers as well."""
    if importlib.util.find_spec("ray") is None:
        if not is_filled(PACKAGES, "ray"):
            fill(PACKAGES, "ray")
        sys.path.append(str(PACKAGES))
    # Workers are processes of their own; the driver's path is not theirs.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *(path for path in sys.path if path == str(PACKAGES))])


@contextlib.contextmanager
def cluster() -> Iterator[Any]:
    """Ray, connected to a new cluster until the block ends."""
    require_packages()
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_DEDUP_LOGS="0")
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:  # sockets: short
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            import ray.data
            import ray.serve

            ray.init(
                address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 << 20, log_to_driver=False,
                configure_logging=False, _node_ip_address="127.0.0.1", _temp_dir=folder,
            )  # fmt: skip
        try:
            yield ray
        finally:
            ray.shutdown()
