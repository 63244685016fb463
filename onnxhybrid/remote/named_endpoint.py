"""`Endpoint`: a name in place of a base URL, which a session resolves when it opens."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

from onnxhybrid import library
from onnxhybrid.errors import ModelError
from onnxhybrid.model.remote_spec import is_endpoint_name
from onnxhybrid.model.texts import is_name


@dataclass(frozen=True)
class Endpoint:
    """A name for the server of a remote model, in place of its base URL. The artifact holds the name and the default.

    What it stands for is looked up when a session opens: in `Session(endpoints={name: url})`, else in the environment
    variable ONNXHYBRID_ENDPOINT_<NAME> (the name in upper case, with `_` for what is neither a letter nor a digit;
    several URLs with commas between), else it is the default. Several URLs of one name are servers that are alike: a
    repeat goes to the next one, and one that fails is left alone for a while.

    Args:
        name: letters, digits, `_`, `-` and `.`, such as `gpu`; not `token`, whose variable the embedded endpoint has.
        default: the base URL where nothing else is said; None where a session has to be told. Its scheme decides
            whether `oh.remote.triton` speaks HTTP or gRPC; without one that of the environment's URL does, else HTTP is
            spoken.
        order: which of several URLs takes a request: "first" that is not left alone, in the order in which they are
            given; or "spread", of two at random the one with fewer requests under way.

    Raises:
        ModelError: OH326, the name has other characters, the order is another one, or the default is no text.
    """

    name: str
    default: str | None = None
    order: Literal["first", "spread"] = "first"

    def __post_init__(self) -> None:
        if not is_endpoint_name(self.name):
            hint = "; its URL is the default" if "://" in str(self.name) else ""
            raise ModelError(
                "OH326", f"an endpoint's name has 1 to 64 letters, digits, '_', '-' and '.', and is not 'token'{hint}"
            )
        if self.default is not None and not is_name(self.default):
            given = f'endpoints={{"{self.name}": [url, …]}}'
            hint = f"; a session takes several URLs: {given}" if isinstance(self.default, (list, tuple)) else ""
            kind = "an empty text" if self.default == "" else type(self.default).__name__
            raise ModelError("OH326", f"the default of an endpoint is a base URL or None, not {kind}{hint}")
        if self.order not in ("first", "spread"):
            raise ModelError("OH326", f"the order of an endpoint is 'first' or 'spread', not {self.order!r}")

    @property
    def variable(self) -> str:
        """The environment variable that is asked for its URLs."""
        return "ONNXHYBRID_ENDPOINT_" + re.sub(r"[^A-Z0-9]", "_", self.name.upper())

    @property
    def address(self) -> str | None:
        """The URL that it stands for now, while a model is built: the environment's first, or the default."""
        return next(iter(self.listed), self.default)

    @property
    def listed(self) -> list[str]:
        """The URLs that the environment has for it."""
        listed = (url.strip() for url in os.environ.get(self.variable, "").split(","))
        return list(filter(None, listed))


def asked_at(endpoint: str | Endpoint, protocol: str) -> str:
    """The base URL of a server that is to be asked while a model is built.

    Raises:
        ModelError: OH327, a name stands for none, or for one that the protocol does not go to.
    """
    if isinstance(endpoint, str):
        return endpoint
    url = endpoint.address
    if url is None:
        raise ModelError(
            "OH327",
            f"the server is to be asked, and the endpoint {endpoint.name!r} leads nowhere: set {endpoint.variable}, "
            "give a default, or say what the model takes and gives with inputs= and outputs=",
        )
    found, schemes = library.endpoint(url), library.protocols()[protocol]["schemes"]
    if found.get("scheme") not in schemes:
        what = found.get("problem") or f"has the scheme {found['scheme']}"
        raise ModelError(
            "OH327",
            f"the server is to be asked, and what {endpoint.variable} has for the endpoint {endpoint.name!r} {what}; "
            f"{protocol}, which the default's scheme decides, speaks {' and '.join(schemes)}",
        )
    return url
