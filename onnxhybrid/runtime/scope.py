"""The border between a session and the operator library: a scope of credentials and policy, and its registration."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import onnxruntime

from onnxhybrid.errors import Error
from onnxhybrid.library import Scope, library_path
from onnxhybrid.model import Model
from onnxhybrid.model.remote_spec import RemoteSpec
from onnxhybrid.runtime.credential_names import require_found
from onnxhybrid.runtime.endpoint_urls import Endpoints, listed
from onnxhybrid.runtime.failures import translated
from onnxhybrid.runtime.lending import answering
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.runtime.sealing import Credentials, Sealed, revealed

ENTRY = "onnxhybrid.scope"
"""The session configuration entry through which the library learns a session's scope."""

_registered: weakref.WeakKeyDictionary[onnxruntime.SessionOptions, Scope] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def register(
    sess_options: onnxruntime.SessionOptions,
    *,
    credentials: Credentials | None = None,
    endpoints: Endpoints | None = None,
    policy: Policy | None = None,
    model: Model | str | os.PathLike[str] | None = None,
) -> None:
    """Make a plain onnxruntime.InferenceSession with these options run hybrid models.

    Args:
        sess_options: the options; sessions made with them share these credentials and this policy.
        credentials: token by name: a str for the endpoints of the model itself, or an `oh.Secret`.
        endpoints: URL, or list of URLs, by the name of an `oh.Endpoint`; names that a model lacks are ignored.
        policy: what the calls may do.
        model: the model that is to run, for a policy with an egress, which is compared with what leaves the device by
            it. Nothing else is done with it, and a session that opens another file is not looked at.

    Raises:
        RemoteError: OH576, the endpoints are no mapping of names to URLs.
        PolicyDenied: OH524 or OH587, the policy refuses the model.
        Error: OH530, the credentials or the policy are malformed, or the policy has an egress and no model is given;
            OH550, the library cannot be loaded.
    """
    sealed = Sealed(credentials)
    del credentials  # a report of an error would show it
    sealed.check()
    if not isinstance(sess_options, onnxruntime.SessionOptions):
        raise Error("OH530", f"register takes onnxruntime.SessionOptions, not {type(sess_options).__name__}")
    _require_allowed(policy, model)
    with _lock:
        attach(sess_options, make_scope(sealed, policy, endpoints=listed(endpoints)))


def _require_allowed(policy: Policy | None, model: Model | str | os.PathLike[str] | None) -> None:
    """Hold a policy against the model; one that has an egress cannot be held without it."""
    if not isinstance(policy, Policy):
        return
    if model is not None:
        policy.held(model)
    elif policy.egress is not None:
        raise Error(
            "OH530", "register sees no model to hold egress against: give it, too, as in register(…, model=path)"
        )


def make_scope(
    credentials: Sealed,
    policy: Policy | None,
    calls: Iterable[RemoteSpec] = (),
    begin: Callable[[str], str] | None = None,
    **more: Any,
) -> Scope:
    """A scope of the library with these settings.

    Args:
        credentials: token by name.
        policy: what the calls may do.
        calls: the remote calls that are known to need credentials.
        begin: gives the traceparent of a call of a node, where the library is to ask for one.
        more: further entries of the library's configuration.

    Raises:
        Error: OH530, they are malformed; OH533, a record's file cannot be used; OH581, a ledger's.
        CredentialError: OH510, one of the credentials has a mistyped name.
    """
    if policy is not None and not isinstance(policy, Policy):
        raise Error("OH530", f"policy is an oh.Policy, not a {type(policy).__name__}")
    require_found(calls, credentials.secrets)
    config: dict[str, Any] = {"credentials": credentials.config(), **more}
    if policy is not None:
        config["policy"] = policy.config()
    return Scope(config, answering(credentials.resolve, policy), revealed, begin)


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
    try:
        options.register_custom_ops_library(library_path())
    except Exception as problem:  # noqa: BLE001  # each kind that ONNX Runtime has
        raise translated(problem) from None
    _registered[options] = scope


def lock() -> threading.Lock:
    """Held from `attach` until the session is made, since both go through the options' one registration."""
    return _lock
