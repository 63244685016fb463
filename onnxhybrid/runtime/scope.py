"""The border between a session and the operator library: a scope of credentials and policy, and its registration."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import onnxruntime

from onnxhybrid.errors import Error
from onnxhybrid.library import Scope, library_path
from onnxhybrid.model.remote_spec import RemoteSpec
from onnxhybrid.model.texts import is_text
from onnxhybrid.remote.auth import is_credential_name
from onnxhybrid.runtime.credential_names import require_found
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.runtime.secret import Secret

Credentials = Mapping[str, str | Secret]

ENTRY = "onnxhybrid.scope"
"""The session configuration entry through which the library learns a session's scope."""

_registered: weakref.WeakKeyDictionary[onnxruntime.SessionOptions, Scope] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def register(
    sess_options: onnxruntime.SessionOptions, *, credentials: Credentials | None = None, policy: Policy | None = None
) -> None:
    """Make a plain onnxruntime.InferenceSession with these options run hybrid models.

    Args:
        sess_options: the options; sessions made with them share these credentials and this policy.
        credentials: token by name: a str for the endpoints of the model itself, or an `oh.Secret`.
        policy: what the calls may do.

    Raises:
        Error: OH530, the credentials or the policy are malformed; OH550, the library cannot be loaded.
    """
    if not isinstance(sess_options, onnxruntime.SessionOptions):
        raise Error("OH530", f"register takes onnxruntime.SessionOptions, not {type(sess_options).__name__}")
    with _lock:
        attach(sess_options, make_scope(credentials, policy))


def make_scope(
    credentials: Credentials | None, policy: Policy | None, calls: Iterable[RemoteSpec] = (), **more: Any
) -> Scope:
    """A scope of the library with these settings.

    Args:
        credentials: token by name.
        policy: what the calls may do.
        calls: the remote calls that are known to need credentials.
        more: further entries of the library's configuration.

    Raises:
        Error: OH530, they are malformed; OH533, a record's file cannot be used.
        CredentialError: OH510, one of the credentials has a mistyped name.
    """
    if credentials is not None and not isinstance(credentials, Mapping):
        raise Error("OH530", f"credentials is a mapping of names to tokens, not a {type(credentials).__name__}")
    if policy is not None and not isinstance(policy, Policy):
        raise Error("OH530", f"policy is an oh.Policy, not a {type(policy).__name__}")
    secrets = {_name(name): _secret(value) for name, value in (credentials or {}).items()}
    require_found(calls, secrets)
    config: dict[str, Any] = {"credentials": {name: _described(secret) for name, secret in secrets.items()}}
    if policy is not None:
        config["policy"] = policy.config()
    config.update(more)
    return Scope(config, lambda name: secrets[name].resolve())


def attach(options: onnxruntime.SessionOptions, scope: Scope) -> None:
    """Let sessions that are made with `options` from now on belong to `scope`; the caller holds the lock until then.

    Options take one registration of a domain. Another scope with the same options takes over that of the first: kernels
    that are made from now on belong to it.
    """
    first = _registered.get(options)
    if first is not None:
        scope.assign(first.id)
        return
    options.add_session_config_entry(ENTRY, str(scope.id))
    options.register_custom_ops_library(library_path())
    _registered[options] = scope


def lock() -> threading.Lock:
    """Held from `attach` until the session is made, since both go through the options' one registration."""
    return _lock


def _name(name: object) -> str:
    if is_credential_name(name):
        return name
    # It is not repeated: it could be the token, where name and token are mixed up.
    raise Error("OH530", "credentials maps names to tokens; a name has 1 to 64 letters, digits, '_', '-' and '.'")


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if is_text(value):
        return Secret(value)
    what = "text with broken Unicode" if isinstance(value, str) else type(value).__name__
    raise Error("OH530", f"credentials maps names to tokens; a token is a str or an oh.Secret, not {what}")


def _described(secret: Secret) -> dict[str, Any]:
    hosts = list(secret.hosts) or None
    return {"resolver": True, "hosts": hosts} if secret.fixed is None else {"value": secret.fixed, "hosts": hosts}
