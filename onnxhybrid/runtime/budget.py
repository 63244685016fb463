"""The budget of a policy: its limits, its prices, and the file that keeps what was spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxhybrid.errors import Error
from onnxhybrid.model.texts import is_text
from onnxhybrid.runtime.limits import check_count, check_names, check_number
from onnxhybrid.runtime.paths import path_of

_MOST = 1e9
_NAMES = {"calls", "bytes", "cost", "price", "ledger"}
_PARTS = {"request", "input_token", "output_token"}


def check(budget: object) -> None:
    """Refuse what is no budget.

    Raises:
        Error: OH530, an entry is unknown or of another kind.
    """
    if budget is None:
        return
    limits = check_names("budget", budget, _NAMES)
    for name in ("calls", "bytes"):
        if limits.get(name) is not None:
            check_count(f"budget[{name!r}]", limits[name], least=0)
    if limits.get("cost") is not None:
        check_number("budget['cost']", limits["cost"], _MOST)
    prices = limits.get("price") or {}
    if not isinstance(prices, Mapping) or not all(map(is_text, prices)):
        raise Error("OH530", f"budget['price'] is a mapping from a model's name to a price, not {prices!r}")
    for model, price in prices.items():
        _check_price(f"the price of {model!r}", price)
    path_of("budget['ledger']", limits.get("ledger"))


def _check_price(name: str, price: object) -> None:
    if not isinstance(price, Mapping):
        check_number(name, price, _MOST)
        return
    if not price:
        raise Error("OH530", f"{name} names nothing that is paid: {', '.join(map(repr, sorted(_PARTS)))}")
    for part, amount in check_names(name, price, _PARTS).items():
        check_number(f"{name}, {part!r},", amount, _MOST)


def config(budget: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A budget that was checked, as the operator library reads it."""
    if budget is None:
        return None
    plain = {name: value for name, value in budget.items() if value is not None}
    if "price" in plain:
        prices = plain["price"].items()
        plain["price"] = {model: dict(price) if isinstance(price, Mapping) else price for model, price in prices}
    if "ledger" in plain:
        plain["ledger"] = path_of("budget['ledger']", plain["ledger"])
    return plain
