"""What may be sent to workers: no secret."""

from __future__ import annotations

from onnxhybrid.errors import Error
from onnxhybrid.runtime.policy import Policy


def require_no_secrets(what: str, credentials: object, policy: Policy | None) -> None:
    """Refuse secrets that would travel in a task.

    Args:
        what: what is called, for the message.
        credentials: what was given as credentials; none is printed.
        policy: the policy.

    Raises:
        Error: OH671, there are some.
    """
    if credentials:
        names = [name for name in credentials if isinstance(name, str)] if isinstance(credentials, dict) else []
        variables = [
            f"ONNXHYBRID_CREDENTIAL_{''.join(c if c.isalnum() else '_' for c in name.upper())}" for name in names
        ]
        told = ", ".join(f"{variable} and {variable}_HOSTS" for variable in variables) or "ONNXHYBRID_CREDENTIAL_<NAME>"
        raise Error("OH671", f"{what} sends no credentials to workers: set {told} in their environment")
    if policy is not None and policy.client_certificate is not None and len(tuple(policy.client_certificate)) > 2:
        raise Error("OH671", f"{what} sends no passphrase of a client's certificate to workers: give a key without one")
