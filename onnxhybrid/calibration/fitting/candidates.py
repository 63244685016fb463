"""The models that a score may be: a number for each row of features, and the same as steps of a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxhybrid.calibration.fitting.features import Columns
from onnxhybrid.calibration.fitting.learning import learners, unjudged

Array = npt.NDArray[Any]

_STRENGTHS = (0.02, 0.05, 0.2)
"""The inverse strengths of the logistic regression's regularisation that are tried, on standardised features."""

_TREES = 100
_RATE = 0.05
_DEPTH = 3
_LEAF = 10
_SHARE = 0.5


class Candidate(Protocol):
    """A fitted model."""

    def logits(self, features: Array) -> Array:
        """The log odds of a good row: [n, features] -> [n]."""

    def steps(self, steps: Columns, features: str) -> str:
        """The log odds as steps of a graph: [n, features] -> [n, 1]."""


@dataclass(frozen=True)
class Logistic:
    """A logistic regression on standardised features.

    Attributes:
        center: the mean of each feature.
        weights: of each feature less its mean.
        bias: the log odds of a mean row.
        strength: the inverse strength of the regularisation.
    """

    center: Array
    weights: Array
    bias: float
    strength: float

    @classmethod
    def fitted(cls, features: Array, good: Array, strength: float) -> Logistic:
        """A fit on rows of both kinds."""
        center, deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
        scale = np.where(deviation > 0, deviation, 1)
        model = learners().LogisticRegression(C=strength, max_iter=2000)
        with unjudged():
            model.fit((features - center) / scale, good)
        weights = (model.coef_[0] / scale).astype(np.float32)
        return cls(center.astype(np.float32), weights, float(model.intercept_[0]), strength)

    def logits(self, features: Array) -> Array:
        """The log odds of a good row."""
        found: Array = (features - self.center) @ self.weights + self.bias
        return found

    def steps(self, steps: Columns, features: str) -> str:
        """The log odds as steps of a graph."""
        moved = steps("Sub", features, steps.number(self.center.tolist()))
        weighted = steps("MatMul", moved, steps.number(self.weights[:, None].tolist()))
        return steps("Add", weighted, steps.number(self.bias))


@dataclass(frozen=True)
class Trees:
    """Boosted trees.

    Attributes:
        model: scikit-learn's.
    """

    model: Any

    @classmethod
    def fitted(cls, features: Array, good: Array) -> Trees:
        """A fit on rows of both kinds."""
        model = learners().GradientBoostingClassifier(
            n_estimators=_TREES, learning_rate=_RATE, max_depth=_DEPTH, min_samples_leaf=_LEAF, subsample=_SHARE,
            max_features="sqrt", random_state=0,
        )  # fmt: skip
        return cls(model.fit(features, good))

    def logits(self, features: Array) -> Array:
        """The log odds of a good row."""
        found: Array = self.model.decision_function(features)
        return found

    def steps(self, steps: Columns, features: str) -> str:
        """The log odds as one node of ai.onnx.ml, version 1."""
        trees = [tree.tree_ for tree in self.model.estimators_[:, 0]]
        base = float(self.model.init_.class_prior_[1])
        return steps(
            "TreeEnsembleRegressor", features, domain="ai.onnx.ml", n_targets=1, aggregate_function="SUM",
            post_transform="NONE", base_values=[float(np.log(base / (1 - base)))],
            **_nodes(trees), **_leaves(trees, self.model.learning_rate),
        )  # fmt: skip


def _nodes(trees: list[Any]) -> dict[str, Any]:
    """The nodes of all trees, as the attributes of ai.onnx.ml name them."""
    leaf = [tree.children_left < 0 for tree in trees]
    return {
        "nodes_treeids": _joined([np.full(tree.node_count, place) for place, tree in enumerate(trees)]),
        "nodes_nodeids": _joined([np.arange(tree.node_count) for tree in trees]),
        "nodes_featureids": _joined([np.where(end, 0, tree.feature) for tree, end in zip(trees, leaf, strict=True)]),
        "nodes_values": _joined(
            [np.where(end, 0, _below(tree.threshold)) for tree, end in zip(trees, leaf, strict=True)]
        ),
        "nodes_modes": ["LEAF" if each else "BRANCH_LEQ" for end in leaf for each in end],
        "nodes_truenodeids": _joined(
            [np.where(end, 0, tree.children_left) for tree, end in zip(trees, leaf, strict=True)]
        ),
        "nodes_falsenodeids": _joined(
            [np.where(end, 0, tree.children_right) for tree, end in zip(trees, leaf, strict=True)]
        ),
        "nodes_missing_value_tracks_true": [0] * sum(tree.node_count for tree in trees),
    }


def _leaves(trees: list[Any], rate: float) -> dict[str, Any]:
    ends = [np.flatnonzero(tree.children_left < 0) for tree in trees]
    return {
        "target_treeids": _joined([np.full(len(end), place) for place, end in enumerate(ends)]),
        "target_nodeids": _joined(ends),
        "target_ids": [0] * sum(map(len, ends)),
        "target_weights": _joined([tree.value[end, 0, 0] * rate for tree, end in zip(trees, ends, strict=True)]),
    }


def _below(thresholds: Array) -> Array:
    """The largest float32 that is not above each threshold: a float32 number is at most both or neither."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _joined(arrays: list[Array]) -> list[Any]:
    found: list[Any] = np.concatenate(arrays).tolist()
    return found


Fitting = Callable[[Array, Array], Candidate]
"""From features and what is good to a model."""

CANDIDATES: dict[str, list[Fitting]] = {
    "logistic": [partial(Logistic.fitted, strength=strength) for strength in _STRENGTHS],
    "trees": [Trees.fitted],
}
"""The models that are tried, the simpler ones first, each with all settings."""
