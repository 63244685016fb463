"""How a remote node gets its token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeGuard

from onnxhybrid.errors import ModelError
from onnxhybrid.model.tensor_spec import Input


@dataclass(frozen=True)
class Credential:
    """The name of a token that the session, or the environment, resolves at run time. The artifact holds the name only.

    Args:
        name: letters, digits, `_`, `-` and `.`, such as `yolo`.
        scheme: how auth carries it: "bearer" for `Authorization: Bearer …`, "api-key" for the header `api-key`,
            or None for the protocol's own way. A token of Entra ID for Azure OpenAI is "bearer".

    Raises:
        ModelError: OH304, the name has other characters, or the scheme is none of these.
    """

    name: str
    scheme: Literal["bearer", "api-key"] | None = None

    def __post_init__(self) -> None:
        if self.scheme not in (None, "bearer", "api-key"):
            raise ModelError("OH304", "a credential's scheme is 'bearer', 'api-key' or None, the protocol's own")
        if not is_credential_name(self.name):
            raise ModelError("OH304", "a credential's name has 1 to 64 letters, digits, '_', '-' and '.'")


def is_credential_name(name: object) -> TypeGuard[str]:
    """Whether a credential can be called this."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) is not None


Auth = Credential | Input | None
"""A token by name, a token as a graph input, or none."""


def checked(auth: object) -> Auth:
    """`auth` if it is of the right kind.

    Raises:
        ModelError: OH303, a token was given itself; OH304, it is something else.
    """
    if isinstance(auth, str):
        raise ModelError(
            "OH303", 'auth takes no token itself, since the artifact would hold it; use oh.Credential("name")'
        )
    if not isinstance(auth, Auth):
        raise ModelError("OH304", f"auth is oh.Credential(name), oh.Input(name) or None, not {type(auth).__name__}")
    if isinstance(auth, Input) and auth.default is not None:
        raise ModelError("OH303", "a token's oh.Input takes no default, since the artifact would hold it")
    return auth
