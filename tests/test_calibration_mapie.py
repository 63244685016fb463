"""The threshold against MAPIE's Learn then Test: the same sequence of tests, by people who know nothing of ours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import onnxhybrid as oh
from tests.cascades import cascade, drawn

methods = pytest.importorskip("mapie.risk_control.methods")
fwer = pytest.importorskip("mapie.risk_control.fwer_control")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("loss", "confidence"), [(0.02, 0.95), (0.05, 0.9)])
def test_the_threshold_is_that_of_mapies_fixed_sequence(seed: int, loss: float, confidence: float) -> None:
    data, labels = drawn(700, seed)
    found = oh.calibrate(cascade(), data, labels, loss=loss, confidence=confidence, progress=False)
    lossy = (data[:, 0] != labels) & (data[:, 2] == labels)
    scores = data[:, 1]
    descending = np.sort(np.unique(scores))[::-1]
    risks = np.array([np.mean((scores >= threshold) & lossy) for threshold in descending])
    exact = np.array([
        stats.binomtest(round(risk * len(labels)), len(labels), loss, alternative="less").pvalue for risk in risks
    ])  # fmt: skip
    proven = fwer.control_fwer(exact, 1 - confidence, "fixed_sequence")
    assert found.threshold == descending[max(proven)]
    bounded = methods.compute_hoeffding_bentkus_p_value(risks, len(labels), loss).ravel()
    theirs = fwer.control_fwer(bounded, 1 - confidence, "fixed_sequence")
    assert len(theirs) <= len(proven)  # MAPIE's own p-values are no smaller than the exact ones
