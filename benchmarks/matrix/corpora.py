"""Local models of which each release is asked whether it loads them: by others, of single operators, and composed."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from benchmarks.matrix.singles import singles
from onnxhybrid.testing.strategies import models
from tests.corpus import backend

Named = tuple[str, oh.Model]


def test_cases() -> Iterator[Named]:
    """The models of the onnx package's own tests."""
    for case in backend.cases():
        yield case.name, oh.Model.from_proto(case.proto)


def single_operators(count: int) -> Iterator[Named]:
    """So many models of one node, drawn from all operators, versions and types."""
    every = list(singles())
    for name, proto in random.Random(0).sample(every, min(count, len(every))):
        yield name, oh.Model.from_proto(proto)


def compositions(count: int) -> Iterator[Named]:
    """Pairs of test cases, put together by a combinator that takes any models."""
    draw = random.Random(0)
    cases = list(test_cases())
    while count:
        (one, first), (other, second) = draw.sample(cases, 2)
        combinator = draw.choice(list(_PAIRS))
        try:
            yield f"{combinator}: {one}, {other}", _PAIRS[combinator](first, second)
        except oh.Error:  # told when composing: types that differ, opsets that do not meet
            continue
        count -= 1


_PAIRS: dict[str, Callable[[oh.Model, oh.Model], oh.Model]] = {
    "parallel": lambda one, other: oh.parallel(one=one, other=other),
    "switch": lambda one, _: oh.switch("which way", then=one, else_=one.prefix("b/", inputs=False, outputs=False)),
    "route": lambda one, _: oh.route("which one", [one, one.prefix("b/", inputs=False, outputs=False)]),
}


def drawn(count: int) -> Iterator[Named]:
    """So many models of the strategies that come with the package, alone and in parallel."""
    found: list[oh.Model] = []

    @seed(0)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(models(), models()))
    def draw(pair: tuple[oh.Model, oh.Model]) -> None:
        found.append(oh.parallel(a=pair[0], b=pair[1].prefix("b/", inputs=True)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw()
    return ((f"drawn {number}", model) for number, model in enumerate(found))
