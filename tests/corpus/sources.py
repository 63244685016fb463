"""All models of the corpus."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence

from tests.corpus import backend, networks, pipelines
from tests.corpus.case import Case, feedable_together
from tests.corpus.compositions import Outcome, outcomes


def cases() -> Iterator[Case]:
    """Every model, in a fixed order."""
    yield from backend.cases()
    yield from pipelines.cases()
    yield from networks.cases()


def composed(cases: Sequence[Case], words: Sequence[str] = (), kinds: Collection[str] = ()) -> Iterator[Outcome]:
    """What becomes of every composition of those models that ONNX Runtime runs, each with another one of them.

    Args:
        cases: the models.
        words: only models whose name holds one of them; all if there are none.
        kinds: only compositions of these names; all if there are none.
    """
    chosen = [case for case in cases if not words or any(word.lower() in case.name.lower() for word in words)]
    run = [(case, expected) for case in chosen if (expected := case.expected()) is not None]
    others = run[:]
    random.Random(0).shuffle(others)
    for number, (case, expected) in enumerate(run):
        other, given = next(pair for pair in others[number:] + others if feedable_together(case, pair[0]))
        yield from outcomes(case, expected, other, given, kinds)
