"""`Cache`: whether a remote model's answers are kept in memory, how many bytes of them, and for how long."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from onnxhybrid.errors import ModelError
from onnxhybrid.model.caching import LONGEST


@dataclass(frozen=True)
class Cache:
    """Answers that a session keeps in its memory, so that nothing is asked twice.

    Two questions are the same where all that can change the answer is: protocol, endpoint, model and version, every
    option and header, the token, and the inputs bit by bit. Equal questions that are under way at a time are asked
    once. No two nodes and no two sessions share an answer, and a failure is never kept.

    Args:
        max_bytes: how many bytes a node keeps, what it needs to find them included. The answers that were used least
            recently go first; one that is larger than all is not kept.
        ttl: for how many seconds an answer is kept; None without an end.
        rows: whether each row of a batch is a question of its own, where the batch has rows (as for `batch=`): only
            rows that are not known are sent, each once, and the answers are put together in order. False for a model
            whose answer to one row depends on the others.

    Raises:
        ModelError: OH304, an argument is of another type, or not in its range.
    """

    max_bytes: int = 64 << 20
    ttl: float | None = None
    rows: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.max_bytes, int) or isinstance(self.max_bytes, bool) or not 0 < self.max_bytes < 2**63:
            raise ModelError("OH304", f"max_bytes of a cache is an int from 1 to 2**63 - 1, not {self.max_bytes!r}")
        if self.ttl is not None and (
            not isinstance(self.ttl, (int, float)) or isinstance(self.ttl, bool) or not 0 < self.ttl <= LONGEST / 1000
        ):
            raise ModelError(
                "OH304", f"ttl of a cache is in seconds, above 0 and up to a year, or None, not {self.ttl!r}"
            )
        if not isinstance(self.rows, bool):
            raise ModelError("OH304", f"rows of a cache is True or False, not {self.rows!r}")

    @property
    def attribute(self) -> str:
        """This as the attribute of a node."""
        ttl = {} if self.ttl is None else {"ttl_ms": max(1, math.ceil(self.ttl * 1000))}
        return json.dumps({"max_bytes": self.max_bytes, **ttl, "rows": self.rows})


def require_cache(cache: object) -> None:
    """Refuse what is neither a cache nor None.

    Raises:
        ModelError: OH304, it is something else than an `oh.Cache` or None.
    """
    if cache is not None and not isinstance(cache, Cache):
        raise ModelError("OH304", f"cache is oh.Cache(…) or None, not {cache!r}")
