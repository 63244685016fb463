"""Operators of onnxruntime-extensions in a graph: a session registers their library by itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, ValueInfoProto, helper

import onnxhybrid as oh
from tests.strategies import of_graph

extensions = pytest.importorskip("onnxruntime_extensions", reason="it has no wheel for Python 3.14 yet")
DOMAIN = "ai.onnx.contrib"
IMPORTS = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
STRING = TensorProto.STRING


def texts(name: str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, STRING, ["n"])


def upper(operator: str = "StringUpper", given: str = "text", made: str = "upper") -> oh.Model:
    node = helper.make_node(operator, [given], [made], domain=DOMAIN)
    return of_graph(helper.make_graph([node], "upper", [texts(given)], [texts(made)]), opset_imports=IMPORTS)


def said(model: oh.Model | str | Path, options: onnxruntime.SessionOptions | None = None) -> str:
    session = oh.Session(model, sess_options=options)
    return str(session.run(None, {"text": np.array(["a"], object)})[0][0])


def test_a_model_and_a_file_with_such_operators_run_without_more_ado(tmp_path: Path) -> None:
    upper().save(tmp_path / "upper.onnx")
    assert said(upper()) == said(tmp_path / "upper.onnx") == "A"


def test_validate_has_nothing_to_say_of_such_a_model() -> None:
    assert str(oh.validate(upper())) == "no findings"


def test_options_of_the_callers_own_serve_several_sessions() -> None:
    options = onnxruntime.SessionOptions()
    assert [said(upper(), options) for _ in range(3)] == ["A", "A", "A"]


def test_options_in_which_the_library_was_registered_by_hand_work_too() -> None:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(extensions.get_library_path())
    assert [said(upper(), options) for _ in range(2)] == ["A", "A"]


def test_an_operator_in_a_branch_is_found() -> None:
    hybrid = oh.switch("loud", then=upper(), else_=upper("StringLower"))
    session = oh.Session(hybrid)
    for loud, expected in ((True, "AB"), (False, "ab")):
        feeds = {"text": np.array(["aB"], object), "loud": np.array(loud)}
        assert session.run(None, feeds)[0].tolist() == [expected]


def test_an_operator_that_does_not_exist_is_named_in_the_error_whoever_registered_the_library() -> None:
    by_hand = onnxruntime.SessionOptions()
    by_hand.register_custom_ops_library(extensions.get_library_path())
    for options in (None, onnxruntime.SessionOptions(), by_hand):
        with pytest.raises(oh.Error, match="StringSideways") as failure:
            oh.Session(upper("StringSideways"), sess_options=options)
        assert failure.value.code == "OH540"


def test_a_missing_package_is_a_coded_error_that_names_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)  # as if it were not installed
    with pytest.raises(oh.Error, match=r"StringUpper.*onnxhybrid\[extensions\]") as failure:
        oh.Session(upper())
    assert failure.value.code == "OH547"


def test_a_model_without_such_operators_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)
    node = helper.make_node("Identity", ["text"], ["same"])
    imports_only = of_graph(helper.make_graph([node], "g", [texts("text")], [texts("same")]), opset_imports=IMPORTS)
    assert said(imports_only) == "a"


def test_a_function_of_the_models_own_in_that_domain_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)
    body = [helper.make_node("Identity", ["a"], ["b"])]
    function = helper.make_function(DOMAIN, "StringUpper", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    node = helper.make_node("StringUpper", ["text"], ["upper"], domain=DOMAIN)
    graph = helper.make_graph([node], "g", [texts("text")], [texts("upper")])
    assert said(of_graph(graph, functions=[function], opset_imports=IMPORTS)) == "a"


@given(st.lists(st.text("aBc", max_size=3), max_size=3))
def test_a_chain_of_such_operators_equals_its_parts_run_by_hand(words: list[str]) -> None:
    first, second = upper(), upper("StringLower", "upper", "lower")
    feeds = np.array(words, object)
    (middle,) = oh.Session(first).run(None, {"text": feeds})
    (by_hand,) = oh.Session(second).run(None, {"upper": middle})
    (chained,) = oh.Session(oh.chain(first, second)).run(None, {"text": feeds})
    assert chained.tolist() == by_hand.tolist()
