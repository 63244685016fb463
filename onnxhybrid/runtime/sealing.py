"""Credentials as they are given, checked and put where no report of an error shows them.

Such reports print the variables of every function that an exception came through. So what holds a token in the open
returns instead of raising, and is left before anything is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onnxhybrid.errors import Error
from onnxhybrid.model.texts import is_text
from onnxhybrid.remote.auth import is_credential_name
from onnxhybrid.runtime.secret import Secret

Credentials = Mapping[str, str | Callable[[], str] | Secret]


class Sealed:
    """A session's secrets by name; none of them is printed."""

    __slots__ = ("_problem", "secrets")

    def __init__(self, credentials: object) -> None:
        """Take over what was given as credentials; what is wrong with it `check` tells."""
        self.secrets: dict[str, Secret] = {}
        self._problem = self._take(credentials)

    def check(self) -> None:
        """Refuse what is no mapping of names to tokens.

        Raises:
            Error: OH530.
        """
        if self._problem is not None:
            raise Error("OH530", self._problem)

    def config(self) -> dict[str, Any]:
        """The credentials as the operator library reads them, once `revealed` stands for each Secret."""
        return {name: _described(secret) for name, secret in self.secrets.items()}

    def resolve(self, name: str) -> str:
        """The token of this name as it is now."""
        return self.secrets[name].resolve()

    def _take(self, credentials: object) -> str | None:
        if credentials is None:
            return None
        if not isinstance(credentials, Mapping):
            return f"credentials is a mapping of names to tokens, not a {type(credentials).__name__}"
        for name, value in credentials.items():
            if not is_credential_name(name):
                # It is not repeated: it could be the token, where name and token are mixed up.
                return "credentials maps names to tokens; a name has 1 to 64 letters, digits, '_', '-' and '.'"
            if not isinstance(value, Secret) and not is_text(value) and not callable(value):
                what = "text with broken Unicode" if isinstance(value, str) else type(value).__name__
                return f"credentials maps names to tokens; a token is a str, a callable or an oh.Secret, not {what}"
            self.secrets[name] = value if isinstance(value, Secret) else Secret(value)
        return None


def revealed(value: object) -> str:
    """What a Secret in a configuration stands for, at the moment when the library gets it."""
    if isinstance(value, Secret) and value.fixed is not None:
        return value.fixed
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _described(secret: Secret) -> dict[str, Any]:
    hosts = list(secret.hosts) or None
    return {"resolver": True, "hosts": hosts} if secret.fixed is None else {"value": secret, "hosts": hosts}
