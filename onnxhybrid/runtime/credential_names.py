"""Finds a mistyped name among the credentials of a session before the first call does."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable

from onnxhybrid.errors import CredentialError
from onnxhybrid.model.remote_spec import RemoteSpec

OFFICIAL = {"openai": "OPENAI_API_KEY", "azure_openai": "AZURE_OPENAI_API_KEY"}
"""Credentials that the library takes from the variables of the official clients, too (session/official.rs)."""


def require_found(calls: Iterable[RemoteSpec], given: Collection[str]) -> None:
    """Check that a credential which the calls name is not given under another name.

    Sessions may share a mapping with more credentials than one of them needs, and a session may be opened without a
    credential that its calls never come to need. Where both hold, it is one mistake: a name that is not the model's.

    Args:
        calls: the remote calls of the session's model.
        given: the names of the credentials that the session is given.

    Raises:
        CredentialError: OH510, a call names a credential that is neither given nor in the environment, and one is given
            that no call names.
    """
    named = {name: call for call in calls for name in call.credentials}
    unused = sorted(set(given) - set(named))
    missing = [name for name in named if name not in given and not _in_environment(name)]
    if not unused or not missing:
        return
    folded = {name.casefold(): name for name in unused}
    pairs = [(n, folded[near[0]]) for n in missing if (near := difflib.get_close_matches(n.casefold(), folded, n=1))]
    name, other = pairs[0] if pairs else (missing[0], None)
    # Another one is not repeated: it could be the token, where name and token are mixed up.
    what = "another one" if other is None else repr(other)
    hint = "" if other is None else f": did you mean {name!r}?"
    raise CredentialError(
        "OH510",
        f"the node {named[name].node!r} sends the credential {name!r}, which neither the session nor the environment "
        f"has; credentials has {what}, which no node sends{hint}",
        node=named[name].node,
    )


def _in_environment(name: str) -> bool:
    variable = "ONNXHYBRID_CREDENTIAL_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    return variable in os.environ or bool(os.environ.get(OFFICIAL.get(name, ""), ""))
