"""`Policy`: which addresses a session may call, and how much it may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from onnxhybrid.errors import Error


@dataclass(frozen=True)
class Policy:
    """What a session's remote calls may do.

    Args:
        allow: the only endpoints that may be called: "https://host:port", "host", "host:port", "*.domain" or
            "10.0.0.0/8"; None allows all but link-local, metadata and unspecified addresses, which are called only
            where they are named here.
        deny: endpoints that may not be called, even where allow names them.
        max_response_bytes: the largest response body, in bytes.

    Raises:
        Error: OH530, an argument is of another kind.
    """

    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    max_response_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name in ("allow", "deny"):
            entries = getattr(self, name)
            if entries is not None and (isinstance(entries, str) or not all(isinstance(e, str) for e in entries)):
                raise Error("OH530", f"{name} is a list of texts such as 'host' or 'https://host:8000'")
        limit = self.max_response_bytes
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise Error("OH530", f"max_response_bytes is a number of bytes from 1, not {limit!r}")

    def config(self) -> dict[str, Any]:
        """The policy as the operator library reads it."""
        return {
            **asdict(self),
            "allow": None if self.allow is None else list(self.allow),
            "deny": list(self.deny),
        }
