"""`Egress`: what leaves the device, as data, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from onnxhybrid.errors import Error
from onnxhybrid.model.remote_spec import shown_endpoint


@dataclass(frozen=True)
class Outflow:
    """What leaves the device by one remote call. Inputs are in the model's order.

    Attributes:
        node: the name of the node that makes the call.
        endpoint: the base URL; of an endpoint by name its default, or empty.
        credential: the name of the credential that is sent as the token; None if none is.
        content: the inputs of the model that can change what is sent; a token that is an input among them.
        decides: the inputs that can change whether it is sent, or in how many requests.
        max_bytes: the most bytes of one request's body, 0 where the call is never made; None where no bound is known.
        endpoint_name: the name that a session resolves; empty where the endpoint is a URL alone.
        header_credentials: the names of the credentials that are sent in headers.
    """

    node: str
    endpoint: str
    credential: str | None
    content: tuple[str, ...]
    decides: tuple[str, ...]
    max_bytes: int | None
    endpoint_name: str = ""
    header_credentials: tuple[str, ...] = ()

    @property
    def credentials(self) -> tuple[str, ...]:
        """The names of all credentials that are sent, as the token and in headers."""
        token = () if self.credential is None else (self.credential,)
        return tuple(dict.fromkeys((*token, *self.header_credentials)))

    @property
    def shown(self) -> str:
        """The endpoint for people: its name, and its URL with stars for the values of the query, which may be keys."""
        return shown_endpoint(self.endpoint, self.endpoint_name)


@dataclass(frozen=True)
class Egress:
    """What leaves the device when a model runs: an `Outflow` for each remote call, in the order of `Model.remotes`.

    Iterate over it, print it, or keep it as JSON: `Policy(egress=…)` takes it, and its JSON, as the most that a file
    may send.
    """

    outflows: tuple[Outflow, ...]

    def __iter__(self) -> Iterator[Outflow]:
        return iter(self.outflows)

    def __len__(self) -> int:
        return len(self.outflows)

    def __getitem__(self, place: int) -> Outflow:
        return self.outflows[place]

    def __str__(self) -> str:
        if not self.outflows:
            return "Nothing leaves the device."
        heads = ("node", "endpoint", "credential", "what is sent depends on", "whether depends on", "most bytes")
        rows = [heads, *map(_row, self.outflows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join((lines[0], "  ".join("-" * width for width in widths), *lines[1:]))

    def to_json(self) -> str:
        """The same as JSON, which `from_json` and `Policy(egress=…)` read."""
        return json.dumps({"outflows": [asdict(outflow) for outflow in self.outflows]}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Egress:
        """What `to_json` wrote.

        Raises:
            Error: OH530, it did not write that.
        """
        try:
            held = json.loads(text)
            return cls(tuple(_outflow(entry) for entry in held["outflows"]))
        except (KeyError, TypeError, ValueError, RecursionError) as problem:
            said = f"{problem} is missing" if isinstance(problem, KeyError) else str(problem).partition("\n")[0]
            raise Error("OH530", f"an egress is what oh.egress(model).to_json() gives; of this {said}") from None


def _row(outflow: Outflow) -> tuple[str, ...]:
    return (
        outflow.node or "(no name)",
        outflow.shown,
        _listed(outflow.credentials),
        _listed(outflow.content),
        _listed(outflow.decides),
        "unknown" if outflow.max_bytes is None else f"{outflow.max_bytes:,}",
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"


def _outflow(entry: Any) -> Outflow:
    known = {each.name for each in fields(Outflow)}
    if not isinstance(entry, dict) or not known.issuperset(entry):
        raise ValueError(f"an outflow has the keys {', '.join(sorted(known))}")
    lists = {"content", "decides", "header_credentials"}
    for name, value in entry.items():
        texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        fits = {"max_bytes": value is None or whole, "credential": value is None or isinstance(value, str)}
        if not fits.get(name, texts if name in lists else isinstance(value, str)):
            raise ValueError(f"{name} is {value!r}")
    given: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in entry.items()}
    return Outflow(**given)
