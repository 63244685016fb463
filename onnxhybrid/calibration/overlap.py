"""Rows of a calibration that its judge was fitted on: a promise that is proven on them is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any

import numpy as np

from onnxhybrid.calibration.bounds import lower
from onnxhybrid.calibration.feeding import Batch
from onnxhybrid.calibration.fitting.fitted_rows import FittedRows, fitted_rows, row_hashes
from onnxhybrid.errors import Error
from onnxhybrid.model import Model

ALLOWED = 0.01
"""The share of the rows that may be those of the fit, beside what chance explains."""

_CONFIDENCE = 0.9999
"""How sure it has to be that there are more. It is looked at whenever the rows have doubled, twenty times or so."""

_MOST_CHOICES = 16
"""Of inputs with other names than in the fit so many choices are tried."""


@dataclass
class _Seen:
    """The hashes of different rows, as some inputs give them, that could be among those that the fit has kept."""

    fit: FittedRows
    hashes: set[str] = field(default_factory=set)

    @property
    def hits(self) -> int:
        return len(self.hashes & self.fit.hashes)

    @property
    def share(self) -> float:
        """About which share of the rows the judge was fitted on."""
        return self.hits / max(len(self.hashes), 1)

    @property
    def too_many(self) -> bool:
        least = float(lower(np.array(self.hits), len(self.hashes), _CONFIDENCE)) if self.hits else 0.0
        return least > self.fit.repeated + ALLOWED


class Overlap:
    """Looks at rows as they pass.

    Args:
        hybrid: what is calibrated.
        by_row: whether a batch has many rows.
    """

    def __init__(self, hybrid: Model, *, by_row: bool) -> None:
        self._fits = list(fitted_rows(hybrid))
        self._by_row = by_row
        self._seen: dict[tuple[int, tuple[str, ...]], _Seen] = {}
        self._rows, self._next = 0, 1

    def passing(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches.

        Raises:
            Error: OH615, too many of their rows are those that a judge was fitted on.
        """
        for batch in batches:
            self._add(batch)
            if self._rows >= self._next:
                self._next = 2 * self._rows
                self._require_few()
            yield batch
        self._require_few()

    def require_few(self, batches: Iterable[Batch]) -> None:
        """Look at batches that can be read twice, before anything is asked.

        Raises:
            Error: OH615, as above.
        """
        if self._fits:
            for batch in batches:
                self._add(batch)
            self._require_few()

    def _add(self, batch: Batch) -> None:
        self._rows += batch.rows
        columns: dict[str, Any] = {name: array for name, array in batch.feeds.items() if name in batch.carried}
        if not self._by_row:  # the call is one row
            columns = {name: [array] for name, array in batch.feeds.items()}
        for place, fit in enumerate(self._fits):
            for names in _choices(fit.inputs, sorted(columns)):
                seen = self._seen.setdefault((place, names), _Seen(fit))
                seen.hashes.update(filter(fit.comparable, row_hashes([columns[name] for name in names])))

    def _require_few(self) -> None:
        for seen in self._seen.values():
            if seen.too_many:
                count = max(seen.hits, round(seen.share * self._rows))
                raise Error(
                    "OH615",
                    f"of the first {self._rows} rows about {count} ({seen.share:.0%}) are rows that the learned judge "
                    "was fitted on, on which it looks better than it is; calibrate on rows that oh.fit_judge has not "
                    "seen",
                )


def _choices(known: tuple[str, ...], names: list[str]) -> Iterable[tuple[str, ...]]:
    """The inputs that the fit knew, or, where they have other names now, those that they may be."""
    if set(known) <= set(names):
        return [known]
    return islice(combinations(names, len(known)), _MOST_CHOICES)
