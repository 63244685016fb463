"""`deployment`: a hybrid as an application of Ray Serve."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from onnxhybrid.cluster.broking import is_limited
from onnxhybrid.cluster.connection import require_ray
from onnxhybrid.cluster.sending import require_no_secrets
from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.runtime.policy import Policy

if TYPE_CHECKING:
    from onnxhybrid.scoring.serving.settings import Settings

_ROWS = 64
_AUTO = 100
"""The replicas that Ray Serve makes at most where it is told "auto"."""


def deployment(
    model: Model | str | os.PathLike[str],
    *,
    name: str = "hybrid",
    batch: int | None = None,
    wait: float = 0.005,
    endpoints: Mapping[str, Any] | None = None,
    policy: Policy | None = None,
    providers: Any = None,
    credentials: Any = None,
    **options: Any,
) -> Any:
    """A hybrid as an application of Ray Serve, for `serve.run`, or for a file that `serve deploy` names.

        app = oh.scoring.deployment("hybrid.onnx", batch=64, autoscaling_config={"min_replicas": 1, "max_replicas": 4})
        serve.run(app)

    KServe v2 answers over HTTP, as of `oh.endpoint.serve`: `tritonclient.http`, `oh.remote.triton` and whatever speaks
    the protocol call it by its name. A handle of the deployment has `run.remote({"input": array})`.

    Requests that come within `wait` seconds are run as one, row below row, and each is given its own rows. A run that
    fails by what one request holds is made again for each alone. A replica whose session fails three times in a row by
    its own fault is unhealthy, and Ray Serve makes another; a remote that is away is no such fault. The policy's
    `max_concurrency` and budget hold for all replicas together.

    Args:
        model: a Model, or the path of a file, which every node has.
        name: under which name it is served, and the deployment's own.
        batch: rows of one run at most. Who gives it says that the model answers each row by itself, as one composed
            with `rows=True` does. None runs requests together only where all operators are known to do so.
        wait: seconds that a request waits for others at most.
        endpoints, policy, providers: as for `oh.Session`. The paths of a policy are those of the replicas' nodes; a
            budget's ledger is a file of the head node.
        credentials: has to be left out: replicas take them from their own environment.
        **options: of `serve.deployment`, such as num_replicas, autoscaling_config, ray_actor_options.

    Raises:
        Error: OH551, an extra is not installed; OH671, a secret would be sent; OH674, an argument cannot be used; or
            what loading the model raised.
    """
    serve, replica = _served_by()
    require_no_secrets("oh.scoring.deployment", credentials, policy)
    _check(name, batch, wait)
    session = {"endpoints": endpoints, "policy": policy, "providers": providers}
    settings = _settings(model, name, batch, wait, session, options)
    options.setdefault("max_ongoing_requests", 16 * (batch or _ROWS))
    try:
        made = serve.deployment(name=name, **options)(replica)
    except (TypeError, ValueError) as problem:
        raise Error("OH674", f"Ray Serve refuses the deployment: {problem}") from None
    return made.bind(settings)


def _served_by() -> tuple[Any, Any]:
    """Ray Serve, and the class of replicas.

    Raises:
        Error: OH551, an extra is not installed.
    """
    require_ray("oh.scoring.deployment")
    try:
        from ray import serve

        from onnxhybrid.scoring.serving.replica import Replica
    except ModuleNotFoundError as problem:
        if problem.name is None or problem.name.partition(".")[0] not in _EXTRAS:
            raise
        message = f'oh.scoring.deployment needs {problem.name}: pip install "onnxhybrid[ray,endpoint]"'
        raise Error("OH551", message) from None
    return serve, Replica


_EXTRAS = ("starlette", "fastapi", "uvicorn", "multipart", "pyarrow")


def _settings(
    model: Model | str | os.PathLike[str],
    name: str,
    batch: int | None,
    wait: float,
    session: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Settings:
    """What replicas are told."""
    from onnxhybrid.scoring.plan import Portable
    from onnxhybrid.scoring.serving.settings import Settings
    from onnxhybrid.scoring.serving.together import rows_in

    portable, policy = Portable(model), session["policy"]
    rows_in(portable.model(), batch)
    return Settings(
        model=portable,
        name=name,
        batch=batch,
        rows=_ROWS,
        wait=float(wait),
        replicas=_replicas(options),
        broker=_broker(name, policy) if is_limited(policy) else None,
        session={key: value for key, value in session.items() if value is not None},
    )


def _check(name: object, batch: object, wait: object) -> None:
    if not isinstance(name, str) or not name:
        raise Error("OH674", f"name is the deployment's name, not {name!r}")
    if batch is not None and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise Error("OH674", f"batch is how many rows a run has at most, as in batch=64, not {batch!r}")
    if not isinstance(wait, (int, float)) or isinstance(wait, bool) or not 0 <= wait <= 60:
        raise Error("OH674", f"wait is seconds from 0 to 60, not {wait!r}")


def _replicas(options: Mapping[str, Any]) -> int:
    """How many replicas there may be."""
    scaling = options.get("autoscaling_config")
    given = options.get("num_replicas")
    if scaling is not None:
        most = scaling.get("max_replicas") if isinstance(scaling, Mapping) else getattr(scaling, "max_replicas", None)
        return int(most or (_AUTO if given == "auto" else 1))
    return _AUTO if given == "auto" else int(given or 1)


def _broker(name: str, policy: Policy | None) -> str:
    """The name of the broker: replicas of one deployment with one policy find the same."""
    assert policy is not None
    told = {"policy": policy.max_concurrency, "budget": policy.config()["budget"]}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"serve-{name}-{digest[:12]}"
