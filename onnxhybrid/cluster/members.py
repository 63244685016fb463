"""Which workers there are, and how many requests each may have under way: in a file, which outlives the broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final


@final
class Members:
    """The workers that hold places. Each change is a line of the file; what a death cut short is no line.

    Args:
        path: the file, which is made if it is not there; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._places: dict[str, int] = {}
        self._reach: dict[str, str] = {}
        self._path = path
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._learn(line)

    def _learn(self, line: str) -> None:
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError:
            return
        if told["places"] is None:
            self._places.pop(told["worker"], None)
        else:
            self._places[told["worker"]], self._reach[told["worker"]] = told["places"], told["reach"]

    def _change(self, worker: str, places: int | None, reach: str) -> None:
        line = json.dumps({"worker": worker, "places": places, "reach": reach})
        if self._path is not None:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")  # the line before may have been cut short
        self._learn(line)

    def add(self, worker: str, places: int, reach: str) -> None:
        """Note that a worker has so many places; `reach` is how to find it."""
        self._change(worker, places, reach)

    def remove(self, worker: str) -> None:
        """Note that a worker is gone."""
        if worker in self._places:
            self._change(worker, None, "")

    def __contains__(self, worker: str) -> bool:
        return worker in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._places))

    def __len__(self) -> int:
        return len(self._places)

    def places(self, worker: str | None = None) -> int:
        """The places of a worker, or of all together."""
        return sum(self._places.values()) if worker is None else self._places[worker]

    def reach(self, worker: str) -> str:
        """How to find a worker."""
        return self._reach[worker]
