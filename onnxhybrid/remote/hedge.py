"""`Hedge`: a second request beside one that takes long."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TypeGuard

from onnxhybrid.errors import ModelError
from onnxhybrid.model.hedging import LONGEST

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s)")


@dataclass(frozen=True)
class Hedge:
    """A second request where the first takes long: the first answer wins, and the other request is cancelled.

    A request may then be worked on twice: not for what does harm if it is done again. The second goes to the next
    server of an endpoint by name, else to the same on another connection, and is one more request in statistics and
    budget.

    Args:
        after: how long a request may take before a second one is sent: a quantile of what the node's last successful
            requests took, between 0 and 1; never sooner than twice their median, before which a second would not win,
            and later while little of `most` is left. Nothing is hedged before there are enough of them (20 for 0.95,
            100 for 0.99). Or a fixed time, such as "0.2s" or "200ms".
        most: second requests for each request of the node, at most; above 0 and up to 1. It is saved up from the first
            request on, so that there are none at the start: with 0.05 the first is possible at the 20th request. What
            is not used lapses, but for the share of the last thousand requests.

    Raises:
        ModelError: OH304, one of them has a value that it cannot have.
    """

    after: float | str = 0.95
    most: float = 0.05

    def __post_init__(self) -> None:
        if isinstance(self.after, str):
            _milliseconds(self.after)
        elif not _is_number(self.after) or not 0 < self.after < 1:
            raise ModelError(
                "OH304", f'after is a quantile between 0 and 1, or a time such as "0.2s", not {self.after!r}'
            )
        if not _is_number(self.most) or not 0 < self.most <= 1:
            raise ModelError("OH304", f"most is a share of the requests, above 0 and up to 1, not {self.most!r}")

    @property
    def seconds(self) -> float | None:
        """The fixed time; None where `after` is a quantile."""
        return _milliseconds(self.after) / 1000 if isinstance(self.after, str) else None

    @property
    def attribute(self) -> str:
        """This as the attribute of a node."""
        after = {"after_ms": _milliseconds(self.after)} if isinstance(self.after, str) else {"after": float(self.after)}
        return json.dumps({**after, "most": float(self.most)})


def hedge_problem(hedge: object, timeout: float, attempt_timeout: float | None) -> str | None:
    """What is wrong with the hedge of a call that has these seconds, and these for an attempt; None: nothing."""
    if hedge is None:
        return None
    if not isinstance(hedge, Hedge):
        return f"hedge is oh.Hedge(…) or None, not {hedge!r}"
    least = min(timeout, attempt_timeout or timeout)
    if hedge.seconds is not None and hedge.seconds >= least:
        return f"hedge is after {hedge.after!r}, and a request ends after {least:g} s at the latest: give less"
    return None


def _milliseconds(text: str) -> int:
    """The time in a text, rounded up."""
    if read := _TIME.fullmatch(text):
        milliseconds = math.ceil(float(read[1]) * (1000 if read[2] == "s" else 1))
        if 1 <= milliseconds <= LONGEST:
            return milliseconds
    raise ModelError("OH304", f'after is a time above 0 and up to a day such as "0.2s" or "200ms", not {text!r}')


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
