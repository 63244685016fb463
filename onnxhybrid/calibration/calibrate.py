"""`calibrate`: the threshold of a cascade, chosen on the user's own rows, with a proof of what it costs."""

from __future__ import annotations

import hashlib
import json
import math
import numbers
import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import closing, contextmanager, nullcontext
from types import MappingProxyType
from typing import Any

import numpy as np

from onnxhybrid.calibration.asking import UNDER_WAY, Asking, Open, Outcome, sessions
from onnxhybrid.calibration.bounds import fewest_rows, require_scipy, rows_needed, upper
from onnxhybrid.calibration.certificate import Certificate, certified
from onnxhybrid.calibration.choosing import Curve, chosen, curve_of, spread
from onnxhybrid.calibration.feeding import Batch
from onnxhybrid.calibration.overlap import Overlap
from onnxhybrid.calibration.points import Summary, number, points_of
from onnxhybrid.calibration.price import Price, shown
from onnxhybrid.calibration.progress import Progress
from onnxhybrid.calibration.record import Record
from onnxhybrid.calibration.result import Calibration
from onnxhybrid.calibration.rows import Collecting, Rows
from onnxhybrid.calibration.subject import Subject
from onnxhybrid.cluster.sending import require_no_secrets
from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.model.dtypes import numpy_dtype
from onnxhybrid.model.keywords import known_keywords
from onnxhybrid.remote.named_endpoint import Endpoint
from onnxhybrid.runtime.endpoint_urls import listed
from onnxhybrid.runtime.paths import path_of

_POINTS = 101


@known_keywords("credentials", "endpoints", "policy", "sess_options", "providers")
def calibrate(
    hybrid: Model | str | os.PathLike[str],
    data: Any,
    labels: Any = None,
    *,
    output: str | None = None,
    loss: float = 0.01,
    confidence: float = 0.95,
    cost: float | Mapping[str, float] | None = None,
    record: str | os.PathLike[str] | None = None,
    batch: int = 256,
    engine: str = "local",
    progress: bool = True,
    **session: Any,
) -> Calibration:
    """Choose the threshold of a cascade that sends least under a promise, and prove it.

    The loss of a row is 1 if it is kept, local is wrong, and the remote is right. With probability `confidence` over
    the rows that are given, drawn as those to come, the expected loss at the chosen threshold is at most `loss`: Learn
    then Test (Angelopoulos and others, 2021) with exact binomial bounds. Where no threshold is proven, all is sent.

    Every row is asked of the remote once. A row whose call fails, or is flagged as failed, counts nowhere but in
    `summary.failed`. A row of which the judge can say nothing (NaN) is always sent.

    Args:
        hybrid: what `oh.cascade(local, remote, accept=judge)` gave, or was made of it, as a Model or a file. Its judge
            compares with one input, as in `oh.judge.max_probability("probabilities") >= oh.Input("threshold")`.
        data: rows to calibrate on, which trained nothing, no judge either: input -> array with rows along axis 0, or an
            iterator of such batches; the array alone where one input is fed. Without `rows=True` each row is a call of
            its own; where an answer has one row whatever comes in, each item of an iterator is one call.
        labels: the right answers, a sequence with one for each row, or an iterator beside one of batches. Right is what
            equals its label, in all elements. None takes the remote's answers as right.
        output: the output that is compared; needed where several could be.
        loss: the expected share of rows that may be lost; between 0 and 1.
        confidence: the probability of the promise; between 0 and 1.
        cost: the price of a request; or of {"request", "input_token", "output_token"}, of which tokens are estimated as
            four bytes of the texts that are sent and answered.
        record: a file that keeps the remote's answers: what was asked is never asked again, whether a calibration was
            stopped, or the labels, the judge or the local model are others. Failed rows are asked again.
        batch: with `rows=True`, the rows of a call that arrays are cut into.
        engine: "local", on this machine; "ray", on a cluster, whose workers run the rows; the limits of a policy hold
            over all of them. The result is the same, times aside; data, labels and record stay here, and credentials
            come from the workers' environment.
        progress: whether to say on stderr how far it is and what is left.
        **session: credentials, endpoints, policy, sess_options and providers, as for `oh.Session`.

    Returns:
        A `Calibration`: its `.model` is the hybrid with the chosen threshold as default, and with the certificate in
        its metadata.

    Raises:
        Error: OH551, the extra `calibration` is not installed; OH600, there is no cascade; OH601 and OH602, it has no
            threshold that is an input, or several; OH603, a judge that cannot be calibrated; OH604 and OH605, data or
            labels do not fit; OH606, too few rows; OH607, an argument has no such value; OH608, the output is not
            known; OH609, the remote does not answer; OH610, the record cannot be used; OH611, the labels belong to
            something else; OH615, a learned judge was fitted on too many of the rows; with
            engine="ray" OH671, a credential is given, OH672, there is no cluster, and OH673, a worker cannot work.
        RemoteError: a credential is missing, or the policy refuses.
    """
    require_scipy()
    promise = _fraction("loss", loss), _fraction("confidence", confidence)
    price = Price.of(cost)
    _check_options(batch, progress, engine, session)
    subject = Subject.of(hybrid, output, batch)
    total = subject.form.total(data)
    if total is not None:
        _require_enough(total, *promise)
        _require_as_many(labels, total)
    path = path_of("record", record)
    telling = Progress(shown=progress, total=total)
    kept_in = nullcontext() if path is None else closing(Record(path, _asked(subject, session.get("endpoints"))))
    with kept_in as kept, _runners(engine, subject, hybrid, session) as (runner, most):
        asking = Asking(subject.graphs, by_row=subject.cascade.rows, record=kept, runner=runner, under_way=most)
        collecting = _collected(subject, asking.outcomes(_batches(subject, data, labels)), price, telling)
        time = asking.request_time()
    _require_enough(collecting.seen, *promise)
    rows = collecting.rows()
    _require_answers(rows, labels, subject.output)
    return _calibration(subject, rows, promise, str(collecting.hashed), _summary(rows, labels, price, time))


def _asked(subject: Subject, endpoints: object) -> str:
    """A hash of what is asked: the remote, and the servers that names of endpoints stand for beside their defaults."""
    given, elsewhere = listed(endpoints), {}
    for call in subject.graphs.both.remotes:
        if call.endpoint_name:
            urls = given.get(call.endpoint_name) or Endpoint(call.endpoint_name).listed
            if urls and urls != [call.endpoint]:
                elsewhere[call.endpoint_name] = urls
    told = json.dumps(sorted(elsewhere.items())) if elsewhere else ""
    return hashlib.sha256((subject.parts["remote"] + told).encode()).hexdigest() if told else subject.parts["remote"]


def _batches(subject: Subject, data: object, labels: object) -> Iterable[Batch]:
    """The rows as calls; too many rows that a judge was fitted on are refused, before the first call if possible."""
    overlap = Overlap(subject.hybrid, by_row=subject.cascade.rows)
    batches = subject.form.batches(data, labels)
    if subject.form.total(data) is None:
        return overlap.passing(batches)
    overlap.require_few(subject.form.batches(data, None))
    return batches


def _collected(subject: Subject, outcomes: Iterable[Outcome], price: Price, telling: Progress) -> Collecting:
    """Take all outcomes in, and tell how far it is."""
    collecting = Collecting(subject.cascade.comparisons, subject.cascade.rows, subject.output)
    for outcome in outcomes:
        collecting.add(outcome)
        price.add(outcome)
        telling.tell(collecting.seen, collecting.failed)
    telling.end(collecting.seen, collecting.failed)
    return collecting


@contextmanager
def _runners(
    engine: str, subject: Subject, hybrid: Model | str | os.PathLike[str], session: Mapping[str, Any]
) -> Iterator[tuple[Open, int]]:
    """What opens the runners of an engine, and how many calls are under way at once."""
    if engine == "local":
        yield sessions(subject.graphs, session), UNDER_WAY
        return
    from onnxhybrid.calibration.clustered import on_ray

    with on_ray(hybrid, subject, session) as runners:
        yield runners


def _check_options(batch: object, progress: object, engine: object, session: Mapping[str, Any]) -> None:
    if engine not in ("local", "ray"):
        raise Error("OH607", f"engine is 'local' or 'ray', not {engine!r}")
    if engine == "ray":
        require_no_secrets('engine="ray"', session.get("credentials"), session.get("policy"))
        if session.get("sess_options") is not None:
            raise Error("OH607", 'sess_options cannot be sent to workers: leave them out with engine="ray"')
    if not isinstance(progress, bool):
        raise Error("OH607", f"progress is True or False, not {progress!r}")
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise Error("OH607", f"batch is how many rows a call has, as in batch=64, not {batch!r}")


def _calibration(
    subject: Subject, rows: Rows, promise: tuple[float, float], data: str, summary: Summary
) -> Calibration:
    """What the rows show."""
    loss, confidence = promise
    dtype = numpy_dtype(subject.cascade.threshold.dtype)
    curve = curve_of(rows, subject.cascade.comparisons, dtype)
    place = chosen(curve, loss, confidence)
    at = place or 0
    value = curve.thresholds[at]
    certificate = None
    if place is not None:
        kept, lost, differ = (int(counts[at]) for counts in (curve.kept, curve.losses, curve.differ))
        certificate = Certificate(
            loss=loss,
            confidence=confidence,
            rows=len(rows),
            loss_high=_upper(lost, len(rows), confidence) if kept else 0.0,
            differ_high=_upper(differ, kept, confidence) if kept else 0.0,
            threshold=number(value),
            output=subject.output,
            data=data,
            parts=MappingProxyType(subject.parts),
        )
    return Calibration(
        points=points_of(curve, spread(curve, _POINTS, [at]), confidence, summary),
        threshold=number(value),
        certificate=certificate,
        model=certified(subject.hybrid, subject.cascade.threshold.name, value, certificate),
        loss=loss,
        confidence=confidence,
        needed=_needed(curve, at, loss, confidence),
        summary=summary,
        _curve=curve,
    )


def _upper(count: int, rows: int, confidence: float) -> float:
    return float(upper(np.array(count), rows, confidence))


def _needed(curve: Curve, at: int, loss: float, confidence: float) -> int | None:
    """How many rows would let the first threshold that keeps some be proven; None where some are kept."""
    if curve.kept[at] or not curve.kept.any():
        return None
    return rows_needed(float(curve.losses[at + 1 :][curve.kept[at + 1 :] > 0][0]) / curve.rows, loss, confidence)


def _summary(rows: Rows, labels: object, price: Price, time: float | None) -> Summary:
    count = len(rows)
    return Summary(
        rows=count,
        failed=rows.failed,
        labelled=labels is not None,
        local_accuracy=float(rows.local_right.mean()),
        remote_accuracy=float(rows.remote_right.mean()),
        oracle_share=float(rows.losses.mean()),
        oracle_accuracy=float((rows.local_right | rows.remote_right).mean()),
        request_cost=price.of_request(),
        request_time=time,
    )


def _fraction(name: str, value: object) -> float:
    try:
        number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not _LEAST <= number <= 1 - _LEAST:
        raise Error("OH607", f"{name} is a number between 0 and 1, as in {name}={_LIKE[name]}, not {shown(value)}")
    return number


_LEAST = 1e-9
"""What cannot be told from 0 or 1 is no promise: it would take more rows than there are."""


_LIKE = {"loss": 0.01, "confidence": 0.95}


def _require_enough(rows: int, loss: float, confidence: float) -> None:
    if rows < (needed := fewest_rows(loss, confidence)):
        raise Error(
            "OH606", f"{rows} rows cannot prove a loss of {loss:.4g} with confidence {confidence:.4g}, not even "
            f"without a single loss: {needed} can; give more rows, or allow a larger loss"
        )  # fmt: skip


def _require_as_many(labels: object, rows: int) -> None:
    if isinstance(labels, Sized) and len(labels) != rows:
        raise Error("OH605", f"there are {len(labels)} labels for {rows} rows")


def _require_answers(rows: Rows, labels: object, output: str) -> None:
    if not len(rows):
        raise Error("OH609", f"the remote answered none of the {rows.failed} rows")
    if labels is not None and not (rows.remote_right.any() or rows.local_right.any()):
        raise Error(
            "OH611", f"neither local nor remote is right in a single row: the labels are not those of {output!r}, or "
            "are in another order than the rows"
        )  # fmt: skip
