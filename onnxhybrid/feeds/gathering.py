"""`gather`: the feeds of a run, from files, values and sizes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxhybrid.errors import Error
from onnxhybrid.feeds.fitting import fitted
from onnxhybrid.feeds.numbers import drawn
from onnxhybrid.feeds.reading import json_array, read
from onnxhybrid.model import TensorSpec
from onnxhybrid.suggesting import near


def gather(
    inputs: Iterable[TensorSpec],
    *,
    files: Mapping[str, str | os.PathLike[str]] | None = None,
    values: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Sequence[int] | None] | None = None,
    seed: int = 0,
) -> dict[str, npt.NDArray[Any]]:
    """The arrays that a model is fed.

    Args:
        inputs: the model's inputs.
        files: input -> the file that holds its array (see `read`).
        values: input -> its value, as JSON has it: a number, a text, a bool, or nested lists of one of these.
        sizes: input -> the sizes in which random values are drawn; None for those that the input declares.
        seed: of the random values.

    Raises:
        Error: OH701, a file cannot be read; OH702, a value does not fit; OH703, there is no such input, or one that
            has no default is not fed, or fed twice.
    """
    known = {spec.name: spec for spec in inputs}
    asked: list[Mapping[str, Any]] = [files or {}, values or {}, sizes or {}]
    _require_each_once(known, [name for each in asked for name in each])
    generator = np.random.default_rng(seed)
    feeds: dict[str, npt.NDArray[Any]] = {}
    for name, path in (files or {}).items():
        feeds[name] = fitted(read(path, known[name]), known[name], str(path))
    for name, value in (values or {}).items():
        source = f"the value of {name!r}"
        feeds[name] = fitted(json_array(value, source), known[name], source)
    for name, given in (sizes or {}).items():
        feeds[name] = drawn(known[name], given, generator)
    return feeds


def _require_each_once(known: Mapping[str, TensorSpec], fed: list[str]) -> None:
    for name in fed:
        if name not in known:
            raise Error("OH703", f"the model has no input {name!r}{near(name, known)}")
        if fed.count(name) > 1:
            raise Error("OH703", f"the input {name!r} is fed twice")
    missing = [str(spec) for name, spec in known.items() if name not in fed and not spec.optional]
    if missing:
        raise Error("OH703", f"no feed for {'; '.join(missing)}")
