"""Old models beside parts of newer opsets: how many give what they gave, are refused, or fail.

python -m benchmarks.opsets                     # every model of the releases of onnx from 1.6 to 1.14; half an hour
python -m benchmarks.opsets 1.6.0 --each 20     # each 20th of one release
"""

from __future__ import annotations

import argparse
import collections
import itertools
import sys
from collections.abc import Sequence

from tests.corpus import releases
from tests.corpus.compositions import Outcome
from tests.corpus.opset_steps import composed

MOST_REFUSED = {"1.6.0": 0.016, "1.8.1": 0.01, "1.12.0": 0.009}
"""Release -> the greatest share of its models of opsets 7 to 17 that may be refused at a newer opset."""

_MOST_SHOWN = 50


def main(arguments: Sequence[str]) -> int:
    """Run them; the exit status says whether one failed or too many were refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", nargs="*", default=list(releases.RELEASES), help="such as 1.6.0")
    parser.add_argument("--each", type=int, default=1, help="take each that many-th model")
    chosen = parser.parse_args(arguments)
    return max(_release(release, chosen.each) for release in chosen.releases)


def _release(release: str, each: int) -> int:
    cases = itertools.islice(releases.cases([release]), 0, None, each)
    found = list(composed(case for case in cases if 7 <= releases.opset(case) <= 19))
    print(f"onnx {release}: {len({outcome.case for outcome in found})} models, {len(found)} compositions")
    counts = collections.Counter(outcome.result for outcome in found)
    raised = [outcome for outcome in found if outcome.composition.startswith("raised")]
    share = sum(outcome.result == "refused" for outcome in raised) / max(1, len(raised))
    print(f"  equal {counts['equal']}, refused {counts['refused']}, failed {counts['failed']}; {share:.2%} not raised")
    reasons = collections.Counter(_reason(outcome) for outcome in found if outcome.result == "refused")
    for reason, count in reasons.most_common():
        print(f"  {count:5} {reason}")
    for outcome in [outcome for outcome in found if outcome.result == "failed"][:_MOST_SHOWN]:
        print(f"  FAILED {outcome.case} {outcome.composition}: {outcome.detail[:300]}")
    return int(counts["failed"] > 0 or share > MOST_REFUSED.get(release, 0.01))


def _reason(outcome: Outcome) -> str:
    return outcome.detail.partition("between them changed ")[2][:120] or outcome.detail[:120]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
