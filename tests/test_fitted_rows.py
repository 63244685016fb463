"""A promise about a learned judge is not proven on the rows that it was fitted on."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import onnxhybrid as oh
from onnxhybrid.calibration.fitting.scorer import Scorer
from tests.strategies import Array
from tests.test_learned_judges import FIT, TEST, digits, local, scorer

IMAGES, LABELS = digits()


def learned(found: Scorer, *, rows: bool = True) -> oh.Model:
    """A cascade whose judge has learned."""
    accept = oh.judge.learned(found) >= oh.Input("threshold", default=0.5)
    return oh.cascade(local(), local(), accept=accept, rows=rows)


def calibrate(hybrid: oh.Model, data: Any, labels: Any, **options: Any) -> oh.Calibration:
    return oh.calibrate(hybrid, data, labels, **{"loss": 0.05, "output": "label", "progress": False, **options})


def refused(hybrid: oh.Model, data: Any, labels: Any, **options: Any) -> str:
    with pytest.raises(oh.Error) as caught:
        calibrate(hybrid, data, labels, **options)
    assert caught.value.code == "OH615"
    return str(caught.value)


def mixed(fitted: int) -> tuple[Array, Array]:
    """400 rows, of which so many were fitted on."""
    order = np.random.default_rng(1).permutation(400)
    places = np.concatenate([np.arange(600, 600 + fitted), np.arange(1300, 1700 - fitted)])[order]
    return IMAGES[places], LABELS[places]


@pytest.mark.parametrize("rows", [True, False])
def test_rows_that_the_judge_was_fitted_on_prove_nothing(rows: bool) -> None:
    said = refused(learned(scorer(), rows=rows), IMAGES[FIT][::-1], LABELS[FIT][::-1])
    assert "700 rows about 700 (100%)" in said
    assert "oh.fit_judge" in said


def test_a_share_of_such_rows_among_others_is_found_and_estimated() -> None:
    said = refused(learned(scorer()), *mixed(200))
    count = int(said.partition(" rows about ")[2].split()[0])
    assert 150 < count < 250


@pytest.mark.parametrize("fitted", [0, 2])
def test_other_rows_are_calibrated_on_with_a_few_that_are_equal_by_chance(fitted: int) -> None:
    assert calibrate(learned(scorer()), *mixed(fitted)).summary.rows == 400


NAMES: dict[str, Callable[[oh.Model], oh.Model]] = {
    "rename": lambda model: model.rename({"image": "picture"}),
    "prefix": lambda model: model.prefix("a/"),
}


@pytest.mark.parametrize("way", NAMES)
def test_the_rows_are_known_whatever_the_input_is_called(way: str) -> None:
    hybrid = NAMES[way](learned(scorer())).rename({"label": "answer"} if way == "rename" else {"a/label": "answer"})
    (name,) = (spec.name for spec in hybrid.inputs if not spec.optional)
    assert name != "image"
    refused(hybrid, {name: IMAGES[FIT]}, LABELS[FIT], output="answer")
    assert calibrate(hybrid, {name: IMAGES[TEST]}, LABELS[TEST], output="answer").summary.rows == len(IMAGES[TEST])


def test_an_iterator_is_refused_before_all_of_its_batches_are_asked() -> None:
    read = 0

    def batches() -> Any:
        nonlocal read
        for part in np.split(IMAGES[FIT], 70):
            read += 1
            yield {"image": part}

    refused(learned(scorer()), batches(), LABELS[FIT])
    assert read < 20


def test_arrays_are_refused_before_anything_is_asked() -> None:
    spec = oh.TensorSpec("image", "float32", ("n", 22)), oh.TensorSpec("label", "int64", ("n",))
    nowhere = oh.remote.triton("http://127.0.0.1:9", "large", inputs=spec[:1], outputs=spec[1:])
    accept = oh.judge.learned(scorer()) >= oh.Input("threshold", default=0.5)
    refused(oh.cascade(local().select(["label", "probabilities"]), nowhere, accept=accept), IMAGES[FIT], LABELS[FIT])


@functools.cache
def repeating() -> tuple[Scorer, Array]:
    """A judge fitted on rows that are drawn of a few, so that rows to come are among them; and what is drawn of."""
    random = np.random.default_rng(0)
    few = np.arange(600, 1000)
    drawn = random.choice(few, 3000)
    return oh.fit_judge(local(), IMAGES[drawn], LABELS[drawn]), few


def test_rows_that_are_equal_because_there_are_few_kinds_of_rows_are_no_reason_to_refuse() -> None:
    found, few = repeating()
    assert found.kind != "max_probability"
    drawn = np.random.default_rng(1).choice(few, 500)
    assert calibrate(learned(found), IMAGES[drawn], LABELS[drawn]).summary.rows == 500


def test_a_judge_that_took_nothing_of_its_rows_may_be_calibrated_on_them() -> None:
    said = np.zeros(700, bool)
    said[:5] = True
    plain = oh.fit_judge(local(), IMAGES[FIT], said)
    assert plain.kind == "max_probability"
    assert calibrate(learned(plain), IMAGES[FIT], LABELS[FIT]).summary.rows == 700


@pytest.mark.parametrize(
    "entry", ["[", "[1]", '{"inputs": 5, "fitted_on": [3]}', '{"inputs": ["image"], "fitted_on": []}', "[" * 100_000]
)
def test_what_another_tool_wrote_of_a_fit_stops_nothing(entry: str) -> None:
    hybrid = learned(scorer()).with_metadata({"onnxhybrid.judge": entry})
    assert calibrate(hybrid, IMAGES[FIT], LABELS[FIT]).summary.rows == 700


def test_the_file_keeps_a_few_hashes_whatever_the_number_of_rows() -> None:
    entry = json.loads(learned(scorer()).metadata["onnxhybrid.judge"])
    assert len(entry["fitted_on"]) == 256
    assert entry["repeated"] == pytest.approx(0, abs=0.01)
