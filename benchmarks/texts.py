"""Two classifiers of texts, a small one and a large one, on sets with standard splits.

The small one is a logistic regression on the counts of words in 1024 buckets, the large one a linear support vector
machine on all words, weighted by how rare they are. Nothing is tuned on the rows that are tested.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skl2onnx import to_onnx
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

import onnxhybrid as oh
from tests import environments

Array = npt.NDArray[Any]

SETS = {"R8": "reuters-r8", "R52": "reuters-r52", "20 Newsgroups": "20newsgroups"}
BUCKETS = 1024
_FOLDER = Path(__file__).parents[1] / ".texts"
_FOLDS = 5
_HEAD = 3  # lines of a table before its rows


@dataclass(frozen=True)
class Split:
    """Rows of a set.

    Attributes:
        texts: the texts.
        counts: the words of each in buckets, float32[n, 1024].
        labels: the label of each.
    """

    texts: Array
    counts: Array
    labels: Array


def split(name: str, part: str) -> Split:
    """The rows of `train` or `test` of a set."""
    datasets = environments.fill(_FOLDER, "economics") / "orangecontrib" / "text" / "datasets"
    csv.field_size_limit(sys.maxsize)
    with open(datasets / f"{SETS[name]}-{part}.tab", newline="", encoding="utf-8") as file:
        rows = [row for row in list(csv.reader(file, delimiter="\t"))[_HEAD:] if len(row) == 2]
    texts, labels = (np.array([row[place] for row in rows], object) for place in (1, 0))
    hashed = HashingVectorizer(n_features=BUCKETS, alternate_sign=False, norm=None)
    return Split(texts, hashed.transform(texts).toarray().astype(np.float32), labels)


def _small() -> Any:
    return make_pipeline(Normalizer(), LogisticRegression(C=5, max_iter=300))


def _large() -> Any:
    return make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC())


def local_of(train: Split) -> oh.Model:
    """The small one: counts -> label, probabilities."""
    model = _small().fit(train.counts, train.labels.astype(str))
    proto = to_onnx(model, [("counts", _floats(BUCKETS))], options={"zipmap": False}, target_opset=17)
    return oh.Model.from_proto(proto)


def _floats(width: int) -> Any:
    from skl2onnx.common.data_types import FloatTensorType

    return FloatTensorType([None, width])


@dataclass(frozen=True)
class Remote:
    """The large one.

    Attributes:
        weighted: texts -> what it is fed, float32[n, words].
        model: words -> label.
    """

    weighted: Callable[[Array], Any]
    model: oh.Model


def remote_of(train: Split) -> Remote:
    """The large one, trained."""
    model = _large().fit(train.texts, train.labels.astype(str))
    words, classifier = model[0], model[1]
    proto = to_onnx(classifier, [("words", _floats(len(words.vocabulary_)))], target_opset=17)
    return Remote(words.transform, oh.Model.from_proto(proto).select(["label"]))


def answers(remote: Remote, texts: Array) -> Array:
    """What the large one answers, in ONNX Runtime."""
    session = oh.Session(remote.model)
    rows = remote.weighted(texts)
    parts = [
        session.run(None, {"words": rows[start : start + 256].toarray().astype(np.float32)})[0]
        for start in range(0, len(texts), 256)
    ]
    return np.concatenate(parts)


def unseen(train: Split) -> dict[str, Array]:
    """What small ones of a cross-validation say of the rows that they were not trained on: label, probabilities."""
    labels = train.labels.astype(str)
    classes = np.unique(labels)
    found = np.zeros((len(labels), len(classes)), np.float32)
    for learned, judged in StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(train.counts, labels):
        model = _small().fit(train.counts[learned], labels[learned])
        found[np.ix_(judged, np.searchsorted(classes, model.classes_))] = model.predict_proba(train.counts[judged])
    return {"counts": train.counts, "probabilities": found, "label": classes[found.argmax(1)].astype(object)}
