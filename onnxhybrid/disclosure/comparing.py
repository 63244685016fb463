"""Whether a model sends more than another egress allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnxhybrid.disclosure.finding import egress
from onnxhybrid.disclosure.outflow import Egress, Outflow
from onnxhybrid.errors import PolicyDenied
from onnxhybrid.model import Model


def require_within(model: Model, allowed: Egress) -> None:
    """Refuse a model of which more leaves the device than is allowed.

    Raises:
        PolicyDenied: OH587, with the first call that does, and how.
    """
    for outflow in egress(model):
        if more := excess(outflow, allowed):
            raise PolicyDenied(
                "OH587",
                f"the remote {outflow.node!r} at {outflow.shown} {more}; nothing was sent. Look at "
                "print(oh.egress(model)): if all of it may leave the device, give the policy egress=oh.egress(model)",
                node=outflow.node,
                endpoint=outflow.shown,
            )


def excess(outflow: Outflow, allowed: Egress) -> str:
    """What a call sends that no call which is allowed does; an empty text where one covers it.

    What is told is told of the nearest of those that go to the same endpoint.
    """
    there = [other for other in allowed if _place(other) == _place(outflow)]
    if not there:
        places = ", ".join(dict.fromkeys(other.shown for other in allowed)) or "nowhere"
        return f"is a new one: the egress that is allowed goes to {places}"
    found = [list(_differences(outflow, other)) for other in there]
    if any(not differences for differences in found):
        return ""
    near = [place for place, other in enumerate(there) if other.node == outflow.node]
    place = near[0] if near else min(range(len(there)), key=lambda each: len(found[each]))
    return f"{found[place][0]} (compared with {there[place].node!r} of the egress that is allowed)"


def _place(outflow: Outflow) -> tuple[str, str]:
    return outflow.endpoint, outflow.endpoint_name


def _differences(outflow: Outflow, allowed: Outflow) -> Iterator[str]:
    """What a call does that another does not."""
    sides = [
        ("sends the credentials", outflow.credentials, allowed.credentials),
        ("sends what depends on the inputs", outflow.content, allowed.content),
        ("is sent or not as the inputs say", outflow.decides, allowed.decides),
    ]
    for what, own, others in sides:
        if set(own) - set(others):
            yield f"{what} {_listed(own)}, and {_listed(others)} may"
    most, bound = outflow.max_bytes, allowed.max_bytes
    if bound is not None and (most is None or most > bound):
        sent = "any number of bytes" if most is None else f"up to {most:,} bytes"
        yield f"sends {sent} at a time, and up to {bound:,} are allowed"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
