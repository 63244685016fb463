"""A client's certificate as it is given: two files, and what the key is encrypted with."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from onnxhybrid.errors import Error
from onnxhybrid.model.texts import is_text
from onnxhybrid.runtime.paths import path_of
from onnxhybrid.runtime.secret import Secret

Path = str | os.PathLike[str]

ClientCertificate = tuple[Path, Path] | tuple[Path, Path, str | Callable[[], str] | Secret]

_WANTED = (
    "client_certificate is a pair, the certificate's file and the key's file; or three, with the passphrase of an "
    "encrypted key: a str, a callable or an oh.Secret"
)


def sealed(given: Any) -> Any:
    """What was given, with its passphrase in a Secret, which is printed nowhere.

    Raises:
        Error: OH530, it is neither a pair nor three, or the passphrase is of another kind.
    """
    if given is None:
        return None
    taken = _taken(given)
    del given  # a report of an error shows the variables of the functions that it came through
    if taken is None:
        raise Error("OH530", _WANTED)
    for path in taken[:2]:
        path_of("client_certificate", path)
    return taken


def _taken(given: object) -> tuple[Any, ...] | None:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or len(given) not in (2, 3):
        return None
    certificate, key, *passphrases = given
    if any(not _is_passphrase(passphrase) for passphrase in passphrases):
        return None
    secrets = [text if isinstance(text, Secret) else Secret(text) for text in passphrases]
    return (certificate, key, *secrets)


def _is_passphrase(value: object) -> bool:
    return isinstance(value, Secret) or callable(value) or (is_text(value) and value != "")


def config(taken: Sequence[Any] | None) -> list[Any] | None:
    """The certificate as the operator library reads it, once `revealed` stands for its Secret.

    Raises:
        Error: OH530, the passphrase could not be fetched.
    """
    if taken is None:
        return None
    certificate, key, *passphrases = taken
    paths = [path_of("client_certificate", path) for path in (certificate, key)]
    return [*paths, *map(_fetched, passphrases)]


def _fetched(passphrase: Secret) -> Secret:
    """The passphrase as it is now: a session asks for it once, when it opens."""
    if passphrase.fixed is not None:
        return passphrase
    try:
        fetched = passphrase.resolve()
    except Exception as error:
        why = type(error).__name__
        raise Error("OH530", f"the passphrase of client_certificate could not be fetched: {why}") from error
    found = Secret(fetched) if is_text(fetched) and fetched else None
    del fetched
    if found is None:
        raise Error("OH530", "the passphrase of client_certificate is a non-empty text, and its callable gave none")
    return found
