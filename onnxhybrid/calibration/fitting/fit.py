"""`fit_judge`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.fitting import reading
from onnxhybrid.calibration.fitting.candidates import CANDIDATES, Fitting
from onnxhybrid.calibration.fitting.choosing import Choice, choose, sent
from onnxhybrid.calibration.fitting.compiling import function_of
from onnxhybrid.calibration.fitting.features import Columns, evaluated, of_opinion, represented
from onnxhybrid.calibration.fitting.features import read as read_features
from onnxhybrid.calibration.fitting.fitted_rows import PLAIN, known_by
from onnxhybrid.calibration.fitting.layout import Classes, Further, classes_of, further_of
from onnxhybrid.calibration.fitting.learning import FOLDS, folds_of, learners
from onnxhybrid.calibration.fitting.opinion import Opinion, opinion, unseen
from onnxhybrid.calibration.fitting.scorer import Scorer
from onnxhybrid.calibration.fitting.verdicts import Verdicts, given, verdicts
from onnxhybrid.compose.judge.learned import Compiled
from onnxhybrid.errors import Error
from onnxhybrid.model import Model, TensorSpec
from onnxhybrid.model.keywords import known_keywords

Array = npt.NDArray[Any]

FEWEST = 4 * FOLDS
"""The fewest rows of either kind that something is learned from."""


@known_keywords()
def fit_judge(local: Model, data: object, good: object, *, features: Sequence[str] = ()) -> Scorer:
    """Learn to tell from the local model's own tensors which of its answers are good.

    Fit on other rows than those that certify a threshold (`oh.calibrate`), and on rows that local was not trained on:
    on those it knows, it is surer and righter than it will be. Where there are no others, give what the models of a
    cross-validation say of the rows that they have not seen, by the tensors' names.

    A logistic regression and boosted trees are tried on the largest probabilities in order and their logarithms, the
    margin, the entropy, the class, and `features`. What is better than the largest probability alone by
    cross-validation is taken, and that where neither is; `Scorer.kind` and `Scorer.reason` say which and why.

    Args:
        local: the local model of a cascade, a classifier. Of several outputs that of floats, or that whose name holds
            "prob", "logit" or "score", is read: probabilities or logits of classes, [n, c], or of the second of two
            classes, [n] or [n, 1].
        data: what local is fed, with rows along the first axis: a mapping of arrays, an array for the only input, or an
            iterator of these. Where it holds local's outputs, it holds all that are read, and local is not run.
        good: bool[n], whether local's answer to a row is good; or the rows' labels: then it is good where local's
            answer, the output of whole numbers or texts, or the place of the largest probability, is the label. The
            more is good that remote has wrong as well, the less is sent in vain.
        features: further tensors of local by name, of numbers or bools, [n, …]: outputs, inner tensors (which
            `local.expose([…])` makes outputs, where the judge reads them), inputs. A wide one, such as an embedding or
            counts of words, gives a second opinion on local's answer.

    Returns:
        The scorer, for `oh.judge.learned(scorer) >= threshold`.

    Raises:
        Error: OH551, scikit-learn is not installed; OH620, it is not clear what holds the probabilities; OH621, the
            data do not fit local, or there are none; OH622, a feature does not exist or has no numbers; OH623, it is
            not clear what the labels are compared with; OH624, good has another length than the data, or other values.
    """
    if not isinstance(local, Model):
        raise Error("OH621", f"local is a Model, as oh.load gives one, not {type(local).__name__}")
    learners()
    local = reading.opened(local)
    name = reading.probabilities_of(local)
    names = _names(name, features)
    wanted = given(good)
    answer = None if wanted.dtype == bool else reading.answer_of(local, wanted)
    tensors = reading.read(local, data, list(dict.fromkeys([*names, *([answer] if answer else [])])))
    rows = {each: _numbers(each, tensors.values[each]) for each in names}
    finite = np.all([np.isfinite(each).all(1) for each in rows.values()], axis=0)
    said = verdicts(wanted, rows[name], tensors.values[answer] if answer else None)
    known = {each: values[finite] for each, values in rows.items()}
    if not len(known[name]):
        raise Error("OH621", f"none of the {len(finite)} rows holds finite numbers only")
    classes = classes_of(name, known[name])
    further = [further_of(each, known[each], tensors.dtypes[each]) for each in names[1:]]
    fit = _fitted(classes, further, known, said.at(finite))
    return _scorer(*fit, classes, further, int(finite.sum()), tensors.fed)


def _names(name: str, features: Sequence[str]) -> list[str]:
    listed = list(features) if isinstance(features, Iterable) and not isinstance(features, (str, bytes)) else [features]
    if isinstance(features, str) or not all(isinstance(each, str) for each in listed):
        raise Error("OH622", f"features is a sequence of names of tensors, not {features!r}")
    return [name, *(each for each in dict.fromkeys(listed) if each != name)]


def _numbers(name: str, values: Array) -> Array:
    """A tensor as float32 rows, [n, width]."""
    if values.dtype.kind not in "biuf" or not values[:1].size:
        raise Error("OH622", f"{name!r} holds {values.dtype}{list(values.shape)}; features are numbers or bools")
    with np.errstate(over="ignore"):
        found: Array = values.reshape(len(values), -1).astype(np.float32)
    return found


_Fit = tuple[Choice, list[Opinion], Any, Any]


def _fitted(classes: Classes, further: Sequence[Further], rows: dict[str, Array], said: Verdicts) -> _Fit:
    """The choice, the opinions, the borders of the features, and what was fitted; None for the plain score."""
    good = said.good
    bad = int(np.count_nonzero(~good))
    if min(bad, len(good) - bad) < FEWEST:
        reason = f"of {len(good)} rows {bad} are not good; it takes {FEWEST} of either kind to learn"
        return Choice(PLAIN, reason, {}), [], None, None
    features, largest, opinions = _features(classes, further, rows, said)
    folds = folds_of(good, seed=1)
    shares = {PLAIN: np.array([sent(largest[judged], good[judged]) for _, judged in folds])}
    best: dict[str, Fitting] = {}
    for kind, settings in CANDIDATES.items():
        tried = [_shares(fitting, features, good, folds) for fitting in settings]
        place = int(np.argmin([each.mean() for each in tried]))
        shares[kind], best[kind] = tried[place], settings[place]
    choice = choose(shares, PLAIN)
    if choice.name == PLAIN:
        return choice, [], None, None
    return choice, opinions, (features.min(0), features.max(0)), best[choice.name](features, good)


def _shares(fitting: Fitting, features: Array, good: Array, folds: list[tuple[Array, Array]]) -> Array:
    """The share of rows that a model would send in each fold."""
    fits = ((fitting(features[learned], good[learned]), judged) for learned, judged in folds)
    return np.array([sent(fitted.logits(features[judged]), good[judged]) for fitted, judged in fits])


def _features(
    classes: Classes, further: Sequence[Further], rows: dict[str, Array], said: Verdicts
) -> tuple[Array, Array, list[Opinion]]:
    """The features of the rows, their largest probability, and the opinions of those that will be judged."""
    folds = folds_of(said.good, seed=2)
    opinions: list[Opinion] = []
    feeds = dict(rows)
    heard: list[str] = []
    for place, tensor in enumerate(further):
        if tensor.wide:
            steps = Columns([TensorSpec(tensor.spec.name, "float32", None)])
            shown = evaluated(steps, represented(steps, tensor, tensor.spec.name), rows)
            opinions.append(opinion(shown, said.labels, classes.count))
            heard.append(f"opinion {place}")
            feeds[heard[-1]] = unseen(shown, said.labels, classes.count, folds)
    steps = Columns([TensorSpec(name, "float32", None) for name in feeds])
    row = read_features(steps, classes, further, [classes.spec.name, *(tensor.spec.name for tensor in further)])
    columns = [*row.features, *(column for name in heard for column in of_opinion(steps, name, row))]
    features = evaluated(steps, steps("Concat", *columns, axis=1), feeds)
    return features, features[:, 0], opinions


def _scorer(
    choice: Choice,
    opinions: list[Opinion],
    borders: Any,
    candidate: Any,
    classes: Classes,
    further: Sequence[Further],
    rows: int,
    fed: dict[str, Array],
) -> Scorer:
    used = further if candidate is not None else []
    function = function_of(classes, used, opinions, borders, candidate)
    entry = json.dumps({"kind": choice.name, "rows": rows, "reason": choice.reason, **known_by(fed)})
    specs = (classes.spec, *(tensor.spec for tensor in used))
    return Scorer(choice.name, choice.reason, choice.shares, rows, Compiled(function, specs, entry))
