"""`Policy` and `Secret` by themselves: what they take, what they refuse and say, and what the library is given."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import onnxhybrid as oh

MOST = (1 << 63) - 1

BOUNDS: dict[str, tuple[Any, Any, Any]] = {
    "max_response_bytes": (lambda value: {"max_response_bytes": value}, 1, MOST),
    "max_concurrency": (lambda value: {"max_concurrency": value}, 1, 1 << 20),
    "budget['calls']": (lambda value: {"budget": {"calls": value}}, 0, MOST),
    "budget['bytes']": (lambda value: {"budget": {"bytes": value}}, 0, MOST),
    "budget['cost']": (lambda value: {"budget": {"cost": value, "price": {"*": 1}}}, 0, 1e9),
    "the price of 'm'": (lambda value: {"budget": {"price": {"m": value}}}, 0, 1e9),
    "breaker['failures']": (lambda value: {"breaker": {"failures": value}}, 1, 1 << 31),
    "breaker['pause']": (lambda value: {"breaker": {"pause": value}}, 0, 86_400),
}
"""A limit, how it is given, its least and its greatest value."""

COUNTS = ("max", "budget['calls']", "budget['bytes']", "breaker['failures']")


def refused(settings: dict[str, Any]) -> str:
    with pytest.raises(oh.Error) as caught:
        oh.Policy(**settings)
    assert caught.value.code == "OH530"
    return caught.value.message


@pytest.mark.parametrize("name", BOUNDS)
def test_a_limit_may_be_its_least_and_its_greatest_value_and_nothing_beyond(name: str) -> None:
    give, least, most = BOUNDS[name]
    for value in (least, most):
        oh.Policy(**give(value))
    number = "a whole number from" if name.startswith(COUNTS) else "a number from"
    end = "" if most == (1 << 63) - 1 else f" to {most}" if name.startswith(COUNTS) else f" to {most:g}"
    for value in (least - 1, most + 1, True, "5", float("nan"), float("inf")):
        assert refused(give(value)) == f"{name} is {number} {least}{end}, not {value!r}"
    if name.startswith(COUNTS):
        assert "1.5" in refused(give(1.5))
    else:
        oh.Policy(**give(1.5))


@pytest.mark.parametrize("name", ["calls", "bytes", "cost", "price", "ledger"])
def test_a_limit_of_the_budget_that_is_none_is_no_limit(name: str) -> None:
    policy = oh.Policy(budget={"calls": 5, "price": {"m": 1}, "cost": 1, name: None})
    assert name not in policy.config()["budget"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"allow": "host"}, "allow is a list of texts"),
        ({"allow": [5]}, "allow is a list of texts"),
        ({"deny": None}, "deny is a list of texts"),
        ({"deny": "host"}, "deny is a list of texts"),
        ({"budget": 5}, "budget is a mapping of 'bytes', 'calls', 'cost', 'ledger', 'price', not 5"),
        ({"budget": {"call": 1}}, "budget has no entry 'call'; there are 'bytes', 'calls', 'cost', 'ledger', 'price'"),
        ({"budget": {"price": [1]}}, "budget['price'] is a mapping from a model's name to a price, not [1]"),
        ({"budget": {"price": {5: 1}}}, "budget['price'] is a mapping"),
        ({"budget": {"price": {"m": {}}}}, "the price of 'm' names nothing that is paid: 'input_token'"),
        (
            {"budget": {"price": {"m": {"input_tokens": 1}}}},
            "the price of 'm' has no entry 'input_tokens'; there are 'input",
        ),
        (
            {"budget": {"price": {"m": {"request": "1"}}}},
            "the price of 'm', 'request', is a number from 0 to 1e+09, not '1'",
        ),
        ({"budget": {"price": {"m": {"input_token": -1}}}}, "the price of 'm', 'input_token', is a number from 0"),
        ({"budget": {"price": {"m": {"output_token": None}}}}, "the price of 'm', 'output_token', is a number from 0"),
        ({"budget": {"ledger": 5}}, "budget['ledger'] is the path of a file, not 5"),
        ({"budget": {"ledger": ""}}, "budget['ledger'] is the path of a file"),
        ({"budget": {"ledger": "a\0b"}}, "budget['ledger'] is the path of a file"),
        ({"breaker": 5}, "breaker is a mapping of 'failures', 'pause', not 5"),
        ({"breaker": {"errors": 1}}, "breaker has no entry 'errors'; there are 'failures', 'pause'"),
        ({"ca_file": 5}, "ca_file is the path of a file, not 5"),
        ({"ca_file": ""}, "ca_file is the path of a file"),
        ({"ca_file": "a\0b"}, "ca_file is the path of a file"),
        ({"client_certificate": "c.pem"}, "client_certificate is a pair"),
        ({"client_certificate": Path("c.pem")}, "client_certificate is a pair"),
        ({"client_certificate": ("c.pem",)}, "client_certificate is a pair"),
        ({"client_certificate": ("c", "k", "x", "y")}, "client_certificate is a pair"),
        ({"client_certificate": ("c", "k", 5)}, "client_certificate is a pair"),
        ({"client_certificate": ("c", "k", "")}, "client_certificate is a pair"),
        ({"client_certificate": ("c", "k", b"x")}, "client_certificate is a pair"),
        ({"client_certificate": ("c", "k", "\ud800")}, "client_certificate is a pair"),
        ({"client_certificate": 5}, "client_certificate is a pair"),
        ({"client_certificate": ("c.pem", 5)}, "client_certificate is the path of a file, not 5"),
    ],
)
def test_a_setting_of_another_kind_is_refused_by_its_name(settings: dict[str, Any], said: str) -> None:
    assert refused(settings).startswith(said)


def test_the_library_is_given_what_the_policy_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nothing: dict[str, object] = {
        "allow": None,
        "deny": [],
        "max_response_bytes": 1 << 28,
        "max_concurrency": None,
        "budget": None,
    }
    assert oh.Policy().config() == {**nothing, "breaker": None, "ca_file": None, "client_certificate": None}
    policy = oh.Policy(
        allow=("a",),
        deny=["b"],
        max_response_bytes=7,
        max_concurrency=3,
        budget=MappingProxyType(
            {"calls": 1, "price": MappingProxyType({"m": MappingProxyType({"request": 2})}), "ledger": Path("l")}
        ),
        breaker={"failures": 2},
        ca_file="ca.pem",
        client_certificate=(Path("c.pem"), "k.pem"),
    )
    assert policy.config() == {
        "allow": ["a"],
        "deny": ["b"],
        "max_response_bytes": 7,
        "max_concurrency": 3,
        "budget": {"calls": 1, "price": {"m": {"request": 2}}, "ledger": str(tmp_path / "l")},
        "breaker": {"failures": 2, "pause": 30.0},
        "ca_file": str(tmp_path / "ca.pem"),
        "client_certificate": [str(tmp_path / "c.pem"), str(tmp_path / "k.pem")],
    }
    prices = policy.config()["budget"]["price"]
    assert isinstance(prices, dict)
    assert isinstance(prices["m"], dict)
    assert oh.Policy(breaker={}).config()["breaker"] == {"failures": 5, "pause": 30.0}


def test_a_secret_is_a_text_a_callable_or_a_file_read_each_time(tmp_path: Path) -> None:
    assert (oh.Secret("t").fixed, oh.Secret("t").resolve()) == ("t", "t")
    turns = iter(["first", "second"])
    rotating = oh.Secret(lambda: next(turns))
    assert rotating.fixed is None
    assert [rotating.resolve(), rotating.resolve()] == ["first", "second"]
    path = tmp_path / "token"
    path.write_text(" à\n", encoding="utf-8")
    kept = oh.Secret(path, hosts=["h"])
    assert (kept.fixed, kept.resolve()) == (None, "à")
    path.write_text("later", encoding="utf-8")
    assert kept.resolve() == "later"


def test_the_hosts_of_a_secret_are_a_list_or_one() -> None:
    assert oh.Secret("t").hosts == ()
    assert oh.Secret("t", "h:1").hosts == ("h:1",)
    assert oh.Secret("t", iter(["h", "g"])).hosts == ("h", "g")


@pytest.mark.parametrize(
    ("value", "hosts", "said"),
    [
        (5, (), "a Secret takes a str, a callable or a path, not int"),
        (None, (), "a Secret takes a str, a callable or a path, not NoneType"),
        ("t", [5], "a Secret's hosts are a list of texts"),
        ("t", 5, "a Secret's hosts are a list of texts"),
        ("t", ["h", ""], "a Secret's hosts are a list of texts"),
        (Path("token"), (), "a Secret from a file names the hosts"),
    ],
)
def test_what_is_no_secret_is_refused(value: Any, hosts: Any, said: str) -> None:
    with pytest.raises(oh.Error, match="OH530") as caught:
        oh.Secret(value, hosts)
    assert caught.value.message.startswith(said)


def test_a_secret_is_neither_printed_nor_pickled_nor_copied() -> None:
    secret = oh.Secret("s3cret", hosts=["h"])
    assert repr(secret) == str(secret) == "Secret('***', hosts=('h',))"
    for hide in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a Secret is not pickled"):
            hide(secret)
    assert not hasattr(secret, "__dict__")
