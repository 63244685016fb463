"""Our composing beside onnx.compose: `python -m benchmarks.compose`, or `make bench-compose`.

Each composition runs in a process of its own, so that its peak memory is its own, and the two take turns.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

import onnxhybrid as oh
from benchmarks import compositions
from benchmarks.measure import Comparison

Figure = dict[str, float]
Rounds = list[tuple[Figure, Figure]]  # ours, what it is compared with
PEERS = ("onnx", "onnxruntime", "numpy", "protobuf")


@dataclass(frozen=True)
class Row:
    """One figure of a case, and the ratio that it may have at most."""

    case: str
    figure: str
    work: str
    peer: str
    unit: str
    goal: float

    def line(self, found: Comparison) -> str:
        """The row of the table."""
        low, high = found.spread
        return (
            f"{self.work:<44} {self.peer:<18} {found.ours:>9.3f} {found.peer:>9.3f} {self.unit:<3}"
            f" {found.ratio:>6.3f}× ({low:.3f}–{high:.3f})   ≤ {self.goal:.2f}× "
            f"{'met' if found.ratio <= self.goal else 'MISSED'}"
        )


MERGE = "onnx merge_models"
ROWS = (
    Row("weights", "compose", "two models of 400 MB: composing", MERGE, "s", 0.02),
    Row("weights", "all", "two models of 400 MB: load, compose, save", MERGE, "s", 0.35),
    Row("weights", "peak", "two models of 400 MB: peak memory", MERGE, "MB", 0.25),
    Row("nodes", "compose", "two of 10 000 nodes: composing", MERGE, "s", 1.0),
    Row("nodes", "all", "two of 10 000 nodes: load, compose, save", MERGE, "s", 1.0),
    Row("ten", "compose", "a node of 10 000: composing", "a node of 1 000", "ms", 1.5),
    Row("hundred", "compose", "a node of 100 000: composing", "a node of 1 000", "ms", 1.5),
    Row("huge", "peak", "two models of 4 GB: peak memory", "their size", "MB", 0.05),
)


def main() -> int:
    """Measure the chosen cases and print a table; 1 when a goal was missed."""
    options = _options()
    print(f"{'work':<44} {'peer':<18} {'ours':>9} {'theirs':>9} {'':<3}  ratio (of the rounds)  goal", flush=True)
    results = []
    for name in options.cases:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            rounds = CASES[name](Path(folder), options.rounds)
        for row in (row for row in ROWS if row.case == name):
            found = Comparison(tuple((ours[row.figure], peer[row.figure]) for ours, peer in rounds))
            print(row.line(found), flush=True)
            results.append((row, found))
    if options.json:
        options.json.write_text(json.dumps(_report(results), indent=2) + "\n", encoding="utf-8")
    return 0 if all(found.ratio <= row.goal for row, found in results) else 1


def _beside_onnx(make: Callable[[str], onnx.ModelProto]) -> Callable[[Path, int], Rounds]:
    """Our way and onnx.compose's with two such models."""

    def measure(folder: Path, rounds: int) -> Rounds:
        for name in "ab":
            onnx.save(make(name), folder / f"{name}.onnx")
        return _in_turns(lambda: _run("ours", folder), lambda: _run("peer", folder), rounds)

    return measure


def _growing(factor: int) -> Callable[[Path, int], Rounds]:
    """Our way with so many times more nodes: milliseconds for each node."""

    def measure(folder: Path, rounds: int) -> Rounds:
        for nodes in (1_000, 1_000 * factor):
            (folder / str(nodes)).mkdir()
            for name in "ab":
                onnx.save(compositions.layered(name, nodes), folder / str(nodes) / f"{name}.onnx")

        def each(nodes: int) -> Figure:
            return {"compose": _run("ours", folder / str(nodes))["compose"] / (2 * nodes) * 1e3}

        return _in_turns(lambda: each(1_000 * factor), lambda: each(1_000), rounds)

    return measure


def _huge(folder: Path, rounds: int) -> Rounds:
    """Our way with two models of 4 GB, of which no other is known; the result has to run."""
    for name in "ab":
        onnx.save(compositions.beside(name, 4, folder), folder / f"{name}.onnx")
    ours = _run("ours", folder)
    answer = oh.Session(folder / "ours.onnx").run(None, {"x": np.zeros((1, compositions.WIDTH), np.float32)})[0]
    if answer[0, -1] != 8 or answer[0, :-1].any():
        raise SystemExit("the composition of two models of 4 GB gives another answer than its parts")
    return [(ours, {"peak": 8 * 1024})]


CASES: dict[str, Callable[[Path, int], Rounds]] = {
    "weights": _beside_onnx(lambda name: compositions.heavy(name, 400)),
    "nodes": _beside_onnx(lambda name: compositions.layered(name, 10_000)),
    "ten": _growing(10),
    "hundred": _growing(100),
    "huge": _huge,
}


def _in_turns(ours: Callable[[], Figure], peer: Callable[[], Figure], rounds: int) -> Rounds:
    """So many rounds, after one that brings the files into memory and does not count; who goes first changes."""
    results = []
    for number in range(rounds + 1):
        if number % 2:
            results.append((ours(), peer()))
        else:
            second = peer()
            results.append((ours(), second))
    return results[1:]


def _run(contestant: str, folder: Path) -> Figure:
    command = [sys.executable, "-m", "benchmarks.compositions", contestant, str(folder)]
    figure: Figure = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return figure


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compose", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is measured (5)")
    parser.add_argument("--folder", type=Path, help="where 16 GB are free for a while; the system's choice by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to a file")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown or options.rounds < 1:
        parser.error(f"no such case: {', '.join(sorted(unknown))}" if unknown else "at least one round is needed")
    options.cases = options.cases or list(CASES)
    return options


def _report(results: list[tuple[Row, Comparison]]) -> dict[str, object]:
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PEERS},
        "cases": [
            {"case": row.case, "figure": row.figure, "work": row.work, "peer": row.peer, "unit": row.unit}
            | {"ours": found.ours, "theirs": found.peer, "ratio": found.ratio, "spread": found.spread}
            | {"rounds": found.rounds, "goal": row.goal, "met": found.ratio <= row.goal}
            for row, found in results
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
