"""Every composition of every model of the corpus: how many equal their parts run by hand, are refused, or fail.

python -m benchmarks.corpus              # prints the table, then each refusal by code and each failure
python -m benchmarks.corpus Resize lstm  # only models whose name holds one of the words
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterable, Sequence

from tests.corpus import sources
from tests.corpus.compositions import Outcome


def main(words: Sequence[str]) -> int:
    """Run the corpus; the exit status says whether a composition failed or more than 0.5 % were refused."""
    cases = list(sources.cases())
    return report(sources.composed(cases, words), len(cases))


def report(found: Iterable[Outcome], size: int) -> int:
    """Print what became of all compositions."""
    found = list(found)
    kinds = sorted({outcome.composition for outcome in found})
    results = ("equal", "refused", "failed")
    print(f"{size} models, {len({outcome.case for outcome in found})} of them run, {len(found)} compositions")
    print(f"{'':14}" + "".join(f"{result:>9}" for result in results))
    for kind in kinds:
        own = [outcome for outcome in found if outcome.composition == kind]
        print(f"{kind:14}" + "".join(f"{_count(own, result):9}" for result in results))
    total = [_count(found, result) for result in results]
    print(f"{'all':14}" + "".join(f"{count:9}" for count in total))
    composable = sum(total)
    print(f"refused: {total[1] / max(1, composable):.2%}")
    reasons = collections.Counter((o.composition, _reason(o)) for o in found if o.result == "refused")
    for (kind, reason), count in reasons.most_common():
        print(f"  {count:5} {kind}: {reason}")
    for outcome in found:
        if outcome.result == "failed":
            print(f"FAILED {outcome.case} {outcome.composition}: {outcome.detail[:400]}")
    return int(total[2] > 0 or total[1] > 0.005 * composable)


def _count(found: Iterable[Outcome], result: str) -> int:
    return sum(outcome.result == result for outcome in found)


def _reason(outcome: Outcome) -> str:
    return outcome.detail[:160]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
