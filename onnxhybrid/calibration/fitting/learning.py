"""What scikit-learn does of a fit: it is imported where a fit begins."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error

Array = npt.NDArray[Any]

FOLDS = 5


def learners() -> Any:
    """The classes of scikit-learn that a fit uses.

    Raises:
        Error: OH551, it is not installed.
    """
    try:
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold
        from sklearn.svm import LinearSVC
    except ImportError as problem:
        raise Error(
            "OH551",
            'fitting a judge needs an extra: pip install "onnxhybrid[calibration]" '
            f"(there is no module {problem.name!r})",
        ) from None
    return SimpleNamespace(
        GradientBoostingClassifier=GradientBoostingClassifier,
        LinearSVC=LinearSVC,
        LogisticRegression=LogisticRegression,
        StratifiedKFold=StratifiedKFold,
    )


@contextlib.contextmanager
def unjudged() -> Iterator[None]:
    """Fits of which scikit-learn says nothing: how good a model is, cross-validation tells.

    A fit may stop before it converges, and few rows of many classes are no mistake.
    """
    with warnings.catch_warnings():
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        yield


def folds_of(good: Array, seed: int) -> list[tuple[Array, Array]]:
    """For each fold the places to learn from and those that are judged; each has its share of good rows."""
    split = learners().StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(good)), good)
    return list(split)
