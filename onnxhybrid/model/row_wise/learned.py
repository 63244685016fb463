"""Which outputs of the operators of `ai.onnx.ml` have rows."""

from __future__ import annotations

from onnx import NodeProto

from onnxhybrid.model.row_wise.operators import same
from onnxhybrid.model.row_wise.tensors import Found, Rows, Rule, Tensors


def _table(*outputs: int) -> Rule:
    """A classifier, say: a matrix with a row each, and outputs of these ranks."""

    def rule(node: NodeProto, tensors: Tensors) -> Found:
        rows = tensors.single(node)
        if rows is None or rows.axis or len(rows.shape) != 2:
            return ()
        return [Rows(0, (None,) * rank) for rank in outputs]

    return rule


def _one_hot(node: NodeProto, tensors: Tensors) -> Found:
    rows = tensors.single(node)
    return () if rows is None else [Rows(rows.axis, (*rows.shape, None))]


def _features(node: NodeProto, tensors: Tensors) -> Found:
    """Places of one list, which each row names: along the last axis of what comes out."""
    rows, listed = tensors.rows.get(tensors.given(node, 1)), tensors.alike.get(tensors.given(node, 0))
    named = rows is not None and all(size == 1 for place, size in enumerate(rows.shape) if place != rows.axis)
    if not named or listed is None or len(listed) > 2 or (len(listed) == 2 and listed[0] != 1):
        return ()
    return [Rows(1, (1, None))]


LEARNED: dict[str, Rule] = {
    **dict.fromkeys(("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"), _table(1, 2)),
    **dict.fromkeys(("LinearRegressor", "SVMRegressor", "TreeEnsembleRegressor"), _table(2)),
    **dict.fromkeys(("Imputer", "Normalizer", "Scaler"), _table(2)),
    **dict.fromkeys(("Binarizer", "LabelEncoder"), same),
    "ArrayFeatureExtractor": _features,
    "OneHotEncoder": _one_hot,
}
