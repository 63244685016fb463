"""scikit-learn pipelines as skl2onnx converts them: estimators, versions of ai.onnx.ml, with zipmap and without."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn import (
    cluster,
    compose,
    datasets,
    decomposition,
    ensemble,
    feature_extraction,
    linear_model,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)

from tests.corpus.case import Case

OPSETS = ({"": 11, "ai.onnx.ml": 1}, {"": 15, "ai.onnx.ml": 2}, {"": 18, "ai.onnx.ml": 3})


def cases() -> Iterator[Case]:
    """Each estimator, trained on real flowers or on a few sentences, in each form."""
    data = datasets.load_iris()
    flowers, kinds = data.data.astype(np.float32), data.target
    names = np.array(["setosa", "versicolor", "virginica"])[kinds]
    for name, estimator in _estimators().items():
        for labels in (kinds, names) if name == "logistic regression" else (kinds,):
            fitted = estimator.fit(flowers, labels)
            yield from _forms(f"{name} {labels.dtype.kind}", fitted, {"X": (FloatTensorType([None, 4]), flowers[::30])})
    yield from _texts()
    yield from _mixed()


def _estimators() -> dict[str, Any]:
    scaled = preprocessing.StandardScaler
    return {
        "logistic regression": pipeline.make_pipeline(scaled(), linear_model.LogisticRegression(max_iter=200)),
        "random forest": ensemble.RandomForestClassifier(5, random_state=0),
        "gradient boosting": ensemble.GradientBoostingClassifier(n_estimators=3, random_state=0),
        "tree": tree.DecisionTreeRegressor(max_depth=3, random_state=0),
        "support vectors": pipeline.make_pipeline(preprocessing.MinMaxScaler(), svm.SVC(random_state=0)),
        "neighbors": neighbors.KNeighborsClassifier(3),
        "perceptron": neural_network.MLPClassifier((8,), max_iter=300, tol=0.01, random_state=0),
        "bayes": naive_bayes.GaussianNB(),
        "components": pipeline.make_pipeline(scaled(), decomposition.PCA(2), linear_model.Ridge()),
        "clusters": cluster.KMeans(3, n_init=1, random_state=0),
        "binned": pipeline.make_pipeline(
            preprocessing.KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), linear_model.Lasso(0.1)
        ),
    }


def _texts() -> Iterator[Case]:
    texts = np.array(["a good day", "a bad day", "good and good", "so bad"], object)
    classifier = pipeline.make_pipeline(
        feature_extraction.text.TfidfVectorizer(token_pattern="[a-z]+"), linear_model.LogisticRegression()
    ).fit(texts, [1, 0, 1, 0])
    yield from _forms("texts", classifier, {"text": (StringTensorType([None]), texts)})


def _mixed() -> Iterator[Case]:
    colours = np.array([["red"], ["blue"], ["red"], ["green"]], object)
    sizes = np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)
    columns = compose.ColumnTransformer(
        [("colour", preprocessing.OneHotEncoder(), [0]), ("size", preprocessing.StandardScaler(), [1])]
    )
    classifier = pipeline.make_pipeline(columns, tree.DecisionTreeClassifier(random_state=0))
    classifier.fit(np.concatenate([colours, sizes.astype(object)], 1), [0, 1, 0, 1])
    inputs = {"colour": (StringTensorType([None, 1]), colours), "size": (FloatTensorType([None, 1]), sizes)}
    yield from _forms("mixed", classifier, inputs)


def _forms(name: str, fitted: Any, inputs: dict[str, tuple[Any, Any]]) -> Iterator[Case]:
    last = fitted.steps[-1][1] if isinstance(fitted, pipeline.Pipeline) else fitted
    zipmaps = (True, False, "columns") if hasattr(last, "predict_proba") else (None,)
    kinds = [(key, kind) for key, (kind, _) in inputs.items()]
    for opset in OPSETS:
        for zipmap in zipmaps:
            options = None if zipmap is None else {id(last): {"zipmap": zipmap}}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    proto = convert_sklearn(fitted, initial_types=kinds, target_opset=opset, options=options)
                except (RuntimeError, NotImplementedError):  # this estimator has no form for this opset
                    continue
            label = f"sklearn {name}, ai.onnx.ml {opset['ai.onnx.ml']}, zipmap {zipmap}"
            yield Case(label, proto, {key: value for key, (_, value) in inputs.items()})
