"""Texts of a stranger's model on a page: nothing in them is markup, and nothing is invisible."""

from __future__ import annotations

import html
import re

MOST = 400
"""The most characters of one text that a page shows."""

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Controls, marks that turn the direction of writing, what has no width, and halves of surrogates."""

_LONG = 12
"""Letters that fit a line of a narrow screen's table."""

_SEAMS = re.compile(r"([/._:\-?&=,@])(?=[^\s/._:\-?&=,@])")


def visible(text: str, most: int = MOST) -> str:
    """A text as one line of at most so many characters, with an escape for each character that nobody would see."""
    line = " ".join(text[: 4 * most].split())
    seen = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), line)
    return seen if len(seen) <= most and len(text) <= 4 * most else f"{seen[: most - 1]}…"


def plain(text: object, most: int = MOST) -> str:
    """A text for HTML and SVG, between tags and in attributes."""
    return html.escape(visible(str(text), most))


def breakable(text: object, most: int = MOST) -> str:
    """A text for HTML in which a line may end after each seam of a long name or URL, so that no word is torn there."""
    words = (_SEAMS.sub("\\1\0", word) if len(word) > _LONG else word for word in visible(str(text), most).split(" "))
    return html.escape(" ".join(words)).replace("\0", "<wbr>")
