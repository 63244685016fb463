"""`Policy`: which addresses a session may call, how much it may take, and how its connections are secured."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxhybrid.errors import Error
from onnxhybrid.model.texts import is_text
from onnxhybrid.runtime.paths import path_of

_PATHS = (str, os.PathLike)


@dataclass(frozen=True)
class Policy:
    """What a session's remote calls may do.

    Args:
        allow: the only endpoints that may be called: "https://host:port", "host", "host:port", "*.domain" or
            "10.0.0.0/8"; None allows all but link-local, metadata and unspecified addresses, which are called only
            where they are named here.
        deny: endpoints that may not be called, even where allow names them.
        max_response_bytes: the most that the response bodies of a call may have, in bytes, and the most that the
            outputs which are read from them may take in memory; 256 MiB.
        max_concurrency: how many requests may be under way to one origin; further calls wait, at most until their
            deadline. None for any number.
        budget: what all requests of the session may take together: any of "calls" (requests, repeats included),
            "bytes" (request and response bodies) and "cost", with "price": model or node name -> price of a request,
            "*" for all others.
        breaker: "failures" in a row (5) of an origin after which nothing is sent to it for "pause" seconds (30.0), then
            one probe. None for never.
        ca_file: a PEM file of authorities that are trusted beside the system's.
        client_certificate: the PEM files of the certificate and the key that servers may ask for.

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
    client_certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None

    def __post_init__(self) -> None:
        for name in ("allow", "deny"):
            entries = getattr(self, name)
            if not (entries is None and name == "allow") and not _is_texts(entries):
                raise Error("OH530", f"{name} is a list of texts such as 'host' or 'https://host:8000'")
        _check_count("max_response_bytes", self.max_response_bytes)
        if self.max_concurrency is not None:
            _check_count("max_concurrency", self.max_concurrency, most=1 << 20)
        _check_budget(self.budget)
        _check_breaker(self.breaker)
        pair = self.client_certificate
        if pair is not None and (not isinstance(pair, Sequence) or isinstance(pair, _PATHS) or len(pair) != 2):
            raise Error("OH530", "client_certificate is a pair: the certificate's file and the key's file")
        self._files()

    def _files(self) -> dict[str, Any]:
        pair = self.client_certificate
        return {
            "ca_file": path_of("ca_file", self.ca_file),
            "client_certificate": pair and [path_of("client_certificate", path) for path in pair],
        }

    def config(self) -> dict[str, Any]:
        """The policy as the operator library reads it."""
        return {
            "allow": None if self.allow is None else list(self.allow),
            "deny": list(self.deny),
            "max_response_bytes": self.max_response_bytes,
            "max_concurrency": self.max_concurrency,
            "budget": None if self.budget is None else _plain(self.budget),
            "breaker": None if self.breaker is None else {"failures": 5, "pause": 30.0, **self.breaker},
            **self._files(),
        }


def _is_texts(entries: object) -> bool:
    return isinstance(entries, Iterable) and not isinstance(entries, str) and all(map(is_text, entries))


def _plain(budget: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if name == "price" else value for name, value in budget.items() if value is not None}


def _check_count(name: str, value: object, *, least: int = 1, most: int = (1 << 63) - 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Error("OH530", f"{name} is a whole number from {least}, not {value!r}")


def _check_number(name: str, value: object, most: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= most:  # type: ignore[arg-type, operator]
        raise Error("OH530", f"{name} is a number from 0, not {value!r}")


def _check_names(name: str, value: object, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not set(value) <= known:
        raise Error("OH530", f"{name} is a mapping of {', '.join(map(repr, sorted(known)))}, not {value!r}")
    return value


def _check_budget(budget: object) -> None:
    if budget is None:
        return
    limits = _check_names("budget", budget, {"calls", "bytes", "cost", "price"})
    for name in ("calls", "bytes"):
        if limits.get(name) is not None:
            _check_count(f"budget[{name!r}]", limits[name], least=0)
    if limits.get("cost") is not None:
        _check_number("budget['cost']", limits["cost"], 1e9)
    prices = limits.get("price") or {}
    if not isinstance(prices, Mapping) or not all(map(is_text, prices)):
        raise Error("OH530", f"budget['price'] is a mapping from a model's name to a price, not {prices!r}")
    for model, price in prices.items():
        _check_number(f"the price of {model!r}", price, 1e9)


def _check_breaker(breaker: object) -> None:
    if breaker is None:
        return
    settings = _check_names("breaker", breaker, {"failures", "pause"})
    _check_count("breaker['failures']", settings.get("failures", 5), most=1 << 31)
    _check_number("breaker['pause']", settings.get("pause", 30.0), 86_400)
