"""`Policy`: which addresses a session may call, how much it may take, and how its connections are secured."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxhybrid.disclosure import Egress
from onnxhybrid.disclosure.comparing import require_within
from onnxhybrid.errors import Error
from onnxhybrid.model import Model, load
from onnxhybrid.model.texts import is_text
from onnxhybrid.runtime import client_certificate
from onnxhybrid.runtime.budget import check as check_budget
from onnxhybrid.runtime.budget import config as budget_config
from onnxhybrid.runtime.ceilings import Ceilings
from onnxhybrid.runtime.client_certificate import ClientCertificate
from onnxhybrid.runtime.limits import check_count, check_names, check_number
from onnxhybrid.runtime.paths import path_of


@dataclass(frozen=True)
class Policy:
    """What a session's remote calls may do.

    Args:
        allow: the only endpoints that may be called: "https://host:port", "host", "host:port", "*.domain" or
            "10.0.0.0/8"; an "http://host" also lets credentials go there unencrypted. None allows all but link-local,
            metadata and unspecified addresses, which are called only where they are named here.
        deny: endpoints that may not be called, even where allow names them.
        max_response_bytes: the most that the response bodies of a call may have, in bytes, and the most that the
            outputs which are read from them may take in memory; 256 MiB.
        max_concurrency: how many requests may be under way to one origin; further calls wait, at most until their
            deadline. None for any number.
        budget: what all requests of the session may take together: any of "calls" (requests, repeats included),
            "bytes" (request and response bodies) and "cost", with "price": the name of a model, as the request has
            it -> price of a request, or any of "request", "input_token" and "output_token" -> price of each; "*" for
            all others; with a cost, a model without a price is refused. "ledger": the path of a file that keeps what
            is spent, of which the limits are then of all sessions, processes and languages that name it together; a
            session that opens makes it if it is not there: OH581, OH583. `Session.stats().budget` says what is left.
        breaker: "failures" in a row (5) of an origin after which nothing is sent to it for "pause" seconds (30.0), then
            one probe. None for never.
        ca_file: a PEM file of authorities that are trusted beside the system's; a server's own certificate in it is
            trusted for the names that it holds.
        client_certificate: the PEM files of the certificate and the key that servers may ask for; where the key is
            encrypted, its passphrase behind them: a str, an `oh.Secret`, or a callable that is called when the session
            opens. It is printed nowhere.
        send_external_data: whether remote calls may be given what lies in files beside the model: OH580. None allows
            those that are named after the model, and, the whole of it, after the tensor; with `Policy.strict` none.
        egress: the most that may leave the device: what `oh.egress(model)` gives of a version that was looked at, or
            its JSON. A file of which more does is not opened: OH587. `oh.register` needs the model for it.
        ceilings: what a file may ask for; `Policy.strict` sets it. With it, private and loopback addresses are called
            only where allow names them, and the environment gives neither credentials nor a client's certificate.

    Raises:
        Error: OH530, an argument is of another kind.
    """

    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    max_response_bytes: int = 1 << 28
    max_concurrency: int | None = None
    budget: Mapping[str, Any] | None = None
    breaker: Mapping[str, float] | None = None
    ca_file: str | os.PathLike[str] | None = None
    client_certificate: ClientCertificate | None = None
    send_external_data: bool | None = None
    ceilings: Ceilings | None = None
    egress: Egress | str | None = None

    @classmethod
    def strict(
        cls,
        allow: Sequence[str],
        *,
        max_timeout: float = Ceilings.max_timeout,
        max_retries: int = Ceilings.max_retries,
        max_request_bytes: int = Ceilings.max_request_bytes,
        max_nodes: int = Ceilings.max_nodes,
        max_response_bytes: int = 64 << 20,
        max_concurrency: int | None = 16,
        **others: Any,
    ) -> Policy:
        """A policy for files from strangers: nothing but what is named, and no more than is reasonable.

        Only what `allow` names is called; private addresses and this very machine, too, only where an entry names them
        by address (or localhost by its name), also behind a name. The environment gives no credential and no client's
        certificate. A node that asks for a longer deadline or more repeats gets what is allowed; a larger graph or
        request is refused. Bytes in flight are at most `max_concurrency` requests and answers an origin.

        Args:
            allow: the only endpoints, as of a Policy; an empty list for none.
            max_timeout: seconds until a call ends.
            max_retries: repeats of a request.
            max_request_bytes: bytes of a request's body.
            max_nodes: nodes of the graph once every function stands in the place of its calls; `oh.register` leaves
                that to you where it is not given the model.
            max_response_bytes: bytes of an answer's body.
            max_concurrency: requests under way to one origin.
            others: as of a Policy: deny, budget, breaker, ca_file, client_certificate, send_external_data,
                egress.

        Raises:
            Error: OH530, an argument is of another kind.
        """
        if allow is None:
            raise Error("OH530", "a strict policy names what it allows: allow is a list, be it empty")
        ceilings = Ceilings(max_timeout, max_retries, max_request_bytes, max_nodes)
        own: dict[str, Any] = {"max_response_bytes": max_response_bytes, "max_concurrency": max_concurrency}
        return cls(allow=allow, ceilings=ceilings, **own, **others)

    def __post_init__(self) -> None:
        for name in ("allow", "deny"):
            entries = getattr(self, name)
            if not (entries is None and name == "allow") and not _is_texts(entries):
                raise Error("OH530", f"{name} is a list of texts such as 'host' or 'https://host:8000'")
        check_count("max_response_bytes", self.max_response_bytes)
        if self.max_concurrency is not None:
            check_count("max_concurrency", self.max_concurrency, most=1 << 20)
        if not isinstance(self.send_external_data, (bool, type(None))):
            raise Error("OH530", f"send_external_data is True, False or None, not {self.send_external_data!r}")
        if self.ceilings is not None and not isinstance(self.ceilings, Ceilings):
            raise Error("OH530", f"ceilings are those of Policy.strict, not {self.ceilings!r}")
        object.__setattr__(self, "egress", _egress(self.egress))
        check_budget(self.budget)
        _check_breaker(self.breaker)
        path_of("ca_file", self.ca_file)
        object.__setattr__(self, "client_certificate", client_certificate.sealed(self.client_certificate))

    @property
    def sends(self) -> bool | None:
        """`send_external_data`, with what holds where it is None."""
        return False if self.send_external_data is None and self.ceilings is not None else self.send_external_data

    def held(self, model: Model | str | os.PathLike[str]) -> Model | str | os.PathLike[str]:
        """The model, loaded where it has to be looked at, so that what was looked at is what runs.

        Raises:
            ModelError: the file is no model.
            PolicyDenied: OH524, its graph is too large; OH587, more would leave the device than is allowed.
        """
        if self.ceilings is not None:
            model = self.ceilings.held(model)
        if isinstance(self.egress, Egress):
            model = model if isinstance(model, Model) else load(model)
            require_within(model, self.egress)
        return model

    def config(self) -> dict[str, Any]:
        """The policy as the operator library reads it."""
        return {
            "allow": None if self.allow is None else list(self.allow),
            "deny": list(self.deny),
            "max_response_bytes": self.max_response_bytes,
            "max_concurrency": self.max_concurrency,
            "budget": budget_config(self.budget),
            "breaker": None if self.breaker is None else {"failures": 5, "pause": 30.0, **self.breaker},
            "ca_file": path_of("ca_file", self.ca_file),
            "client_certificate": client_certificate.config(self.client_certificate),
            **({} if self.ceilings is None else {"strict": self.ceilings.config()}),
        }


def _egress(given: object) -> Egress | None:
    if given is None or isinstance(given, Egress):
        return given
    if isinstance(given, str):
        return Egress.from_json(given)
    raise Error("OH530", f"egress is what oh.egress(model) gives, or its JSON, not a {type(given).__name__}")


def _is_texts(entries: object) -> bool:
    return isinstance(entries, Iterable) and not isinstance(entries, str) and all(map(is_text, entries))


def _check_breaker(breaker: object) -> None:
    if breaker is None:
        return
    settings = check_names("breaker", breaker, {"failures", "pause"})
    check_count("breaker['failures']", settings.get("failures", 5), most=1 << 31)
    check_number("breaker['pause']", settings.get("pause", 30.0), 86_400)
