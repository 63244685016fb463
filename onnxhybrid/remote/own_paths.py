"""Finds the path that a protocol adds by itself in an endpoint that should be a base URL."""

from __future__ import annotations

import re
from urllib.parse import unquote

from onnxhybrid import library

_KSERVE = r"/(?:v2(?:/(?:models(?:/(?P<model>[^/]+)(?:/.*)?)?|health(?:/.*)?|repository(?:/.*)?))?|inference\.GRPC.*)$"
_OPENAI = r"/(?:chat/completions|completions|embeddings|responses|models|audio(?:/transcriptions|/translations)?)$"
_AZURE = r"/openai/(?:deployments(?:/(?P<model>[^/]+)(?:/.*)?)?|v1(?:/.*)?)$"

_OWN = {"triton": _KSERVE, "openai": _OPENAI, "azure_openai": _AZURE}
"""By family of protocols, the end of a path that its builder adds; a group holds what the builder takes by itself."""


def own_path_problem(protocol: str, endpoint: str) -> str | None:
    """What to write instead of an endpoint that holds the protocol's own path; None where it is a base URL.

    Args:
        protocol: the protocol.
        endpoint: a URL that is one of its endpoints.
    """
    found = library.endpoint(endpoint)
    family = protocol.partition(".")[0]
    match = re.search(_OWN[family], found["path"], re.IGNORECASE) if family in _OWN else None
    if match is None:
        return None
    shown, _, query = str(found["shown"]).partition("?")
    base = shown.rstrip("/").removesuffix(match[0]) + (f"?{query}" if query else "")
    named = match.groupdict().get("model")
    what = "deployment" if family == "azure_openai" else "model"
    more = f", and {unquote(named)!r} as the {what}" if named else ""
    return f"the endpoint holds {match[0]!r}, which {protocol} adds itself: give {base!r}{more}"
