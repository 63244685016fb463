"""What was meant by a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, names: Iterable[str]) -> str:
    """The end of a message about a name that there is not: the one that was meant, or those that there are."""
    listed = list(names)
    close = difflib.get_close_matches(name, listed, n=1)
    return f": did you mean {close[0]!r}?" if close else f"; there are {', '.join(listed) or 'none'}"
