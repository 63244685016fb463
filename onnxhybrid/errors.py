"""The one exception tree.

Error                         every error of onnxhybrid; carries .code
├── ModelError                a file, a graph or a description of it is wrong
├── ComposeError              parts do not fit together
├── ValidationError           a model breaks a rule; carries .report
└── RemoteError               a remote call failed; carries .node .endpoint .status .attempts
    ├── RemoteTimeout         the deadline passed
    ├── RemoteRefused         no connection could be made
    ├── RemoteStatusError     the server answered with an error
    ├── ProtocolError         the answer is not what the protocol promises
    ├── CredentialError       a credential is missing, malformed or not meant for the host
    └── PolicyDenied          the policy refuses the call
"""

from __future__ import annotations

from onnxhybrid.diagnostics import REGISTER, Report


class Error(Exception):
    """Base of all errors. `.code` is a code of the register, `.message` the text without it."""

    def __init__(self, code: str, message: str) -> None:
        if code not in REGISTER:
            raise LookupError(f"{code} is not in the register of diagnostics")
        # A lone surrogate, which no text file or terminal takes, would make an error of the error.
        message = message.encode("utf-8", "backslashreplace").decode()
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.message = message
        # Python 3.11 and later end a traceback with it; the message itself stays as short as programs want it.
        self.__notes__ = [f'What it means and what to do: oh.explain("{code}")']

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


class ModelError(Error):
    """A file, a graph or a description of it is wrong."""


class ComposeError(Error):
    """Parts do not fit together."""


class ValidationError(Error):
    """A model breaks a rule. `.report` holds every finding; `.code` is the first error's."""

    def __init__(self, report: Report, *, context: str = "the model is not valid") -> None:
        first = report.errors[0]
        more = f" (and {len(report.errors) - 1} more errors)" if len(report.errors) > 1 else ""
        place = f" ({first.where})" if first.where else ""
        super().__init__(first.code, f"{context}: {first.message}{place}{more}")
        self.report = report


class RemoteError(Error):
    """A remote call failed.

    Attributes:
        node: the name of the node that made the call.
        endpoint: the origin that it called, without credentials.
        status: the HTTP or gRPC status, 0 where no answer came.
        attempts: the number of requests that were tried.
    """

    def __init__(
        self, code: str, message: str, *, node: str = "", endpoint: str = "", status: int = 0, attempts: int = 0
    ) -> None:
        super().__init__(code, message)
        self.node = node
        self.endpoint = endpoint
        self.status = status
        self.attempts = attempts


class RemoteTimeout(RemoteError):
    """The deadline passed before a complete answer came."""


class RemoteRefused(RemoteError):
    """No connection could be made: refused, unreachable, unknown name, or TLS."""


class RemoteStatusError(RemoteError):
    """The server answered with a status that is not success; `.status` has it."""


class ProtocolError(RemoteError):
    """The answer is not what the protocol, or the declaration in the artifact, promises."""


class CredentialError(RemoteError):
    """A credential is missing, malformed, or not meant for the host."""


class PolicyDenied(RemoteError):
    """The policy refuses the call; nothing was sent."""


def _rebuild(kind: type[Error], args: tuple[object, ...], state: dict[str, object]) -> Error:
    """Unpickle: the constructors differ, what they leave behind does not."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error
