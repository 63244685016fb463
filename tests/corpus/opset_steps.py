"""An old model beside a part of a newer opset, and brought to that opset: it gives what it gave, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.model.alignment import align, lifted
from onnxhybrid.model.graphs import all_nodes
from tests.corpus.case import Case, Values
from tests.corpus.compositions import Composition, Outcome
from tests.corpus.releases import opset

NEWER = range(14, 27)
"""The opsets of the other part."""


def composed(cases: Iterable[Case], opsets: Iterable[int] = NEWER) -> Iterator[Outcome]:
    """What becomes of each model, of those that ONNX Runtime runs, at each opset that is newer than its own."""
    for case in cases:
        expected = None if _draws(case) else case.expected()
        if expected is None:
            continue
        try:
            model = oh.Model.from_proto(case.proto)
        except oh.Error as problem:
            yield Outcome(case.name, "load", "failed", str(problem))
            continue
        for newer in opsets:
            if newer > opset(case) > 0:
                yield Composition(f"raised to {newer}", _raised(model, newer), case.feeds, expected).outcome(case.name)
                yield _beside(case, model, newer, expected).outcome(case.name)


def _draws(case: Case) -> bool:
    """Whether a node draws numbers that follow from its place in the graph, since it has no seed."""
    random = (
        node
        for node in all_nodes(case.proto)
        if node.op_type in ("Bernoulli", "Multinomial") or "Random" in node.op_type
    )
    return any(all(attribute.name != "seed" for attribute in node.attribute) for node in random)


def _raised(model: oh.Model, newer: int) -> Callable[[], oh.Model]:
    return lambda: align([lifted(model)], newer)[0]


def _beside(case: Case, model: oh.Model, newer: int, expected: Values) -> Composition:
    """Beside a part that may come down, as most can."""
    value = helper.make_tensor_value_info("beside", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("beside it", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["beside"], ["beside it"])], "beside", [value], [result])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", newer)], ir_version=8)
    one = np.ones(1, np.float32)
    values = {f"old/{name}": value for name, value in expected.items()} | {"new/beside it": one}
    make = lambda: oh.parallel(old=model, new=oh.Model.from_proto(proto))  # noqa: E731
    return Composition(f"beside {newer}", make, case.feeds | {"beside": one}, values)
