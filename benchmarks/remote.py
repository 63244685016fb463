"""Our operator beside the official clients: `python -m benchmarks.remote`, or `make bench`.

The servers are the real Triton server and one on loopback that costs next to nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import CASES, Case, Servers
from benchmarks.measure import Comparison, compare
from tests.servers import triton

PEERS = ("onnxruntime", "numpy", "tritonclient", "openai")


@dataclass(frozen=True)
class Result:
    """A case and what was measured."""

    case: Case
    comparison: Comparison

    def line(self) -> str:
        """The row of the table."""
        case, found = self.case, self.comparison
        low, high = found.spread
        sign = "≥" if case.more_is_better else "≤"
        verdict = "met" if case.is_met(found.ratio) else "MISSED"
        return (
            f"{case.work:<28} {case.peer:<18} {found.ours:>8.3f} {found.peer:>8.3f} {case.unit:<4}"
            f" {found.ratio:>5.2f}× ({low:.2f}–{high:.2f})   {sign} {case.goal:.2f}× {verdict}"
        )

    def to_json(self) -> dict[str, object]:
        """The same, with every round."""
        case, found = self.case, self.comparison
        return {
            "case": case.name,
            "work": case.work,
            "peer": case.peer,
            "unit": case.unit,
            "ours": found.ours,
            "theirs": found.peer,
            "ratio": found.ratio,
            "spread": found.spread,
            "rounds": found.rounds,
            "goal": case.goal,
            "met": case.is_met(found.ratio),
        }


def main() -> int:
    """Measure the chosen cases and print a table; 1 when a goal was missed, 2 where the server cannot run."""
    options = _options()
    cases = [case for case in CASES if case.name in options.cases]
    reason = triton.unsupported() if any(case.on_triton for case in cases) else ""
    if reason:
        print(f"nothing was measured, since the Triton server cannot run here: {reason}", file=sys.stderr)
        return 2
    print(_HEAD, flush=True)
    with Servers() as servers:
        results = [_measure(case, servers, options.rounds) for case in cases]
    if options.json:
        options.json.write_text(json.dumps(_report(results), indent=2) + "\n", encoding="utf-8")
    return 0 if all(result.case.is_met(result.comparison.ratio) for result in results) else 1


_HEAD = f"{'work':<28} {'peer':<18} {'ours':>8} {'theirs':>8} {'':<4} ratio (of the rounds)  goal"


def _options() -> argparse.Namespace:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remote", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(names)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=7, help="how often each case is measured (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to a file")
    options = parser.parse_args()
    unknown = set(options.cases) - set(names)
    if unknown or options.rounds < 1:
        parser.error(f"no such case: {', '.join(sorted(unknown))}" if unknown else "at least one round is needed")
    options.cases = options.cases or names
    return options


def _measure(case: Case, servers: Servers, rounds: int) -> Result:
    ours, peer = case.contestants(servers)
    result = Result(case, compare(case.measure, ours, peer, rounds=rounds))
    print(result.line(), flush=True)
    return result


def _report(results: list[Result]) -> dict[str, object]:
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PEERS},
        "cases": [result.to_json() for result in results],
    }


if __name__ == "__main__":
    sys.exit(main())
