"""`score`: a model over files of any size, each row once."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.keywords import known_keywords
from onnxhybrid.scoring.summary import Summary

if TYPE_CHECKING:
    from onnxhybrid.scoring.plan import Engine
    from onnxhybrid.scoring.planning import Wish

_ENGINES = ("local", "ray")


@known_keywords("credentials", "endpoints", "policy", "sess_options", "providers", "replay")
def score(
    model_or_path: Model | str | os.PathLike[str],
    source: Any,
    target: str | os.PathLike[str],
    *,
    key: str | None = None,
    columns: Mapping[str, str] | None = None,
    keep: Iterable[str] = (),
    outputs: Iterable[str] | None = None,
    feeds: Mapping[str, Any] | None = None,
    batch: int = 256,
    workers: int | None = None,
    engine: str = "local",
    resume: bool = True,
    patience: float = 60.0,
    record: str | os.PathLike[str] | None = None,
    progress: bool | Callable[[Any], object] = True,
    **session: Any,
) -> Summary:
    """Run a model over the rows of files, each once, whatever dies in between: the same call goes on.

    The source is looked at before anything is sent: the columns of all files by their types, values as far as a type
    leaves open whether they fit (all of them in text), keys all of them.

    Args:
        model_or_path: a Model, or the path of an .onnx file.
        source: Parquet, CSV, JSON lines or .npz: a path, a folder, a pattern with `*`, a URL of fsspec, or a list.
        target: a folder, which is made. It holds `part-*.parquet`, with the outputs beside the key; rows that failed
            lie in `_failed`, with key, file, row, code and message; `_summary.json` is the summary.
        key: a column that tells rows apart; it is kept. None numbers the rows of the source in the column `row`.
        columns: input -> column, where they are called differently. Lists are further axes, one length a column.
        keep: further columns that are kept.
        outputs: the outputs that are kept; None for all.
        feeds: inputs that are the same for all rows, such as a threshold or a token, which are no columns.
        batch: the rows of a call. Where an input takes one row, or a cascade without rows=True decides a call as a
            whole, a call has one row.
        workers: calls that are under way at once; None for four for each processor, and 16 at least.
        engine: "local", on this machine; "ray", on a cluster: see docs/ray.md. Then `workers` is of each of the
            cluster's workers, whose environment gives the credentials, and model, source, target and record have to
            be where each of them finds them.
        resume: whether to go on in a target that holds results of the same: what is whole stays, what failed is asked
            again. False refuses one that holds any.
        patience: seconds that a remote which is away (no connection, no answer, 429, 503) is waited for, before rows
            fail of it; 0 waits for none.
        record: a folder that keeps what remotes answer, so that a run which was killed asks for nothing twice.
        progress: True for lines on stderr; a function that is called with a `Progress`; False.
        **session: credentials, endpoints, policy, sess_options, providers and replay, as for `oh.Session`.

    Returns:
        A `Summary`. Rows that failed are counted, not raised.

    Raises:
        Error: OH551, the extra `scoring` is not installed; OH640 to OH644, the source does not fit; OH645, the target
            cannot be used; OH646, it holds results of something else; OH647, another scoring writes to it; OH648, the
            source was changed; OH649, an output cannot be kept; OH650, an argument has no such value; OH651, columns
            of the target clash; OH652, it cannot be written; OH654, the record cannot be used; with
            engine="ray" OH671, a credential is given, OH672, there is no cluster, and OH673, a worker cannot work.
        RemoteError: what no row gets past, such as OH521, a budget that is used up; what is whole stays.
    """
    _require_pyarrow()
    from onnxhybrid.scoring.plan import Settings
    from onnxhybrid.scoring.planning import outlined, planned, told
    from onnxhybrid.scoring.running import run
    from onnxhybrid.scoring.target import Target

    wish = _wish(source, key, columns, keep, outputs, feeds, batch)
    _check(engine, resume, progress, patience, workers)
    began, folder = time.monotonic(), _folder(target)
    runs = _engine(engine, session)
    kept = None if record is None else os.path.abspath(os.fspath(record))
    many = workers or max(16, 4 * (os.cpu_count() or 1))
    settings = Settings(folder, many, float(patience), kept, session=session)
    outline = outlined(model_or_path, wish)
    with closing(Target(folder)) as place:
        known = place.known(outline.identity, resume=resume)
        plan = planned(outline, known)
        place.begin(plan, told(plan) if known is None else None)
        return run(place, plan, settings, runs, progress, began)


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise Error("OH551", 'scoring needs pyarrow: pip install "onnxhybrid[scoring]"') from None


def _engine(name: str, session: Mapping[str, Any]) -> Engine:
    if name == "ray":
        from onnxhybrid.scoring.ray.engine import on_ray, require_sendable

        require_sendable(session)
        return on_ray
    from onnxhybrid.scoring.local.engine import local

    return local


def _check(engine: object, resume: object, progress: object, patience: object, workers: object) -> None:
    if engine not in _ENGINES:
        raise Error("OH650", f"engine is one of {', '.join(map(repr, _ENGINES))}, not {engine!r}")
    if not isinstance(resume, bool):
        raise Error("OH650", f"resume is True or False, not {resume!r}")
    if not isinstance(progress, bool) and not callable(progress):
        raise Error("OH650", f"progress is True, False or a function, not {progress!r}")
    is_number = isinstance(patience, (int, float)) and not isinstance(patience, bool)
    if not is_number or not math.isfinite(patience) or patience < 0:  # type: ignore[arg-type, operator]
        raise Error("OH650", f"patience is seconds, as in patience=60, not {patience!r}")
    if workers is not None:
        _count("workers", workers, 16)


def _count(name: str, value: object, like: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Error("OH650", f"{name} is a whole number from 1, as in {name}={like}, not {value!r}")
    return value


def _wish(source: Any, key: Any, columns: Any, keep: Any, outputs: Any, feeds: Any, batch: Any) -> Wish:
    from onnxhybrid.scoring.planning import Wish

    if key is not None and not isinstance(key, str):
        raise Error("OH650", f"key is the name of a column, not {key!r}")
    columns = _mapping("columns", columns, "{'image': 'pixels'}")
    if odd := next((name for name in columns.values() if not isinstance(name, str)), None):
        raise Error("OH650", f"columns names columns by input, and {odd!r} is no name")
    return Wish(
        source=source,
        key=key,
        columns=columns,
        keep=tuple(name for name in _names("keep", keep) if name != key),
        outputs=None if outputs is None else _names("outputs", outputs),
        feeds=_mapping("feeds", feeds, "{'threshold': 0.8}"),
        batch=_count("batch", batch, 256),
    )


def _mapping(name: str, value: Any, like: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise Error("OH650", f"{name} is a mapping of inputs, as in {name}={like}, not {value!r}")
    return dict(value or {})


def _names(name: str, value: Any) -> tuple[str, ...]:
    names = None if isinstance(value, (str, bytes)) or not isinstance(value, Iterable) else tuple(value)
    if names is None or not all(isinstance(each, str) for each in names):
        raise Error("OH650", f"{name} is a list of names, as in {name}=['label'], not {value!r}")
    if not names and name == "outputs":
        raise Error("OH650", "outputs is empty: name one, or leave it out to keep all")
    return tuple(dict.fromkeys(names))


def _folder(target: Any) -> str:
    if not isinstance(target, (str, os.PathLike)) or not (path := os.fspath(target)) or isinstance(path, bytes):
        raise Error("OH645", f"the target is the path of a folder, not {target!r}")
    if "://" in path:
        raise Error(
            "OH645", f"the target {path} is a URL: it is a folder that files are renamed in; copy it afterwards"
        )
    return os.path.abspath(path)
