"""What the search of the site finds: pages that answer, and not files, old changes and bare names of fields."""

from __future__ import annotations

import json
from typing import Any

_ELSEWHERE = ("files/", "changelog.html")


def trimmed(index: str) -> str:
    """The index of the search without what stands in the way of answers."""
    data = json.loads(index)
    return json.dumps({**data, "items": [item for item in data["items"] if _answers(item)]}, ensure_ascii=False)


def _answers(item: dict[str, Any]) -> bool:
    bare_field = "attribute</code>" in item["title"] and "<p>" not in item["text"]
    return not (bare_field or item["location"].startswith(_ELSEWHERE))
