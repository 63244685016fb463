"""Warnings that a model's metadata suppress, and entries there that suppress nothing."""

from __future__ import annotations

import pytest

import onnxhybrid as oh
from tests.strategies import dense

NOQA = "onnxhybrid.noqa"


def remote(name: str = "digits") -> oh.Model:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy"]
    return oh.remote.triton("http://gpu.example", "m", inputs=specs[:1], outputs=specs[1:], name=name, timeout=7200)


def found(model: oh.Model, entry: str) -> list[str]:
    return [f"{finding.code} {finding.message}" for finding in oh.validate(model.with_metadata({NOQA: entry}))]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("OH30", "did you mean 'OH3"),
        ("OH3O7", "did you mean 'OH3"),
        ("0H307", "did you mean 'OH307'"),
        ("H307", "did you mean 'OH307'"),
        ("oh3077", "did you mean 'OH307'"),
        ("OH999", "is no code"),
        ("307", "is no code"),
        ("everything", "is no code"),
    ],
)
@pytest.mark.parametrize("more", ["OH307, OH308, {}", "{}, OH307 OH308", "OH307 {} OH308", "OH308 OH307@digits,{}"])
def test_a_code_that_does_not_exist_is_a_finding(code: str, hint: str, more: str) -> None:
    (text,) = found(remote(), more.format(code))
    assert text.startswith(f"OH316 {code!r} is no code")
    assert hint in text


@pytest.mark.parametrize(("name", "hint"), [("digit", "; did you mean 'digits'?"), ("", ""), ("another node", "")])
def test_a_node_that_does_not_exist_is_a_finding(name: str, hint: str) -> None:
    codes = found(remote(), f"OH308, OH307@{name}")
    assert codes[-1] == f"OH316 no node is called {name!r}{hint}"
    assert [code[:5] for code in codes] == ["OH307", "OH316"]


def test_what_is_found_says_where_it_stands() -> None:
    (finding,) = (f for f in oh.validate(remote().with_metadata({NOQA: "OH30"})) if f.code == "OH316")
    assert finding.severity == "warning"
    assert "onnxhybrid.noqa" in finding.where


@pytest.mark.parametrize(
    "entry",
    [
        "OH307 OH308",
        "oh307,oh308",
        " OH307 ,\n OH308\t",
        "OH307@digits OH308@digits",
        "OH307@digits,OH308",
        "OH309,OH307,OH308",
    ],
)
def test_entries_that_name_what_there_is_are_no_findings(entry: str) -> None:
    assert found(remote(), entry) == []


@pytest.mark.parametrize("entry", ["OH307@the node OH308", "OH308@the node, OH307@the node"])
def test_a_node_may_have_spaces_in_its_name(entry: str) -> None:
    assert found(remote("the node"), entry) == []


def test_nodes_in_branches_and_functions_can_be_named() -> None:
    chosen = oh.switch("c", then=dense("a", "x", "y", (3, 3)), else_=remote())
    (name,) = (spec.node for spec in chosen.remotes)
    assert found(chosen, f"OH307@{name} OH308@{name}") == []


def test_an_entry_about_an_error_hides_nothing() -> None:
    proto = remote().to_proto()
    proto.graph.node[0].output[0] = "z"
    assert "OH105" in "".join(found(oh.Model.from_proto(proto), "OH105 OH307 OH308"))


def test_the_finding_itself_can_be_suppressed() -> None:
    assert found(remote(), "OH307 OH308 OH30 OH316") == []
