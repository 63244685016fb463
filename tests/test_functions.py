"""Model-local functions of parts: one where they mean the same, told apart where they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import FunctionProto, NodeProto, TensorProto, helper, numpy_helper, parser

import onnxhybrid as oh
from tests.strategies import run

X = np.array([[1, -2, 3, 4], [0.5, 0, -1, 2]], np.float32)


def silu(takes: str, gives: str, change: Callable[[FunctionProto], object] = lambda function: None) -> oh.Model:
    """A model of one call of a function, which `change` changes."""
    text = (
        f'<ir_version:10, opset_import:["":18, "lib":1]> {gives}_of_{takes} (float[n,4] {takes})'
        f" => (float[n,4] {gives}) {{ {gives} = lib.silu({takes}) }}"
        '<domain:"lib", opset_import:["":18]> silu (a) => (r)'
        " { c = Constant<value = float {1.0}>() s = Sigmoid(a) t = Mul(s, c) r = Mul(a, t) }"
    )
    proto = parser.parse_model(text)
    change(proto.functions[0])
    return oh.Model.from_proto(proto)


def names_of(model: oh.Model) -> list[tuple[str, str, str]]:
    return [(function.domain, function.name, function.overload) for function in model.to_proto().functions]


def _rename_inside(function: FunctionProto) -> None:
    for node in function.node:
        node.input[:] = [f"in/{name}" for name in node.input]
        node.output[:] = [f"in/{name}" for name in node.output]
    function.input[:], function.output[:] = ["in/a"], ["in/r"]


def _typed(function: FunctionProto) -> None:
    one = numpy_helper.from_array(np.array(1, np.float32), "another_name")
    function.node[0].attribute[0].t.CopyFrom(one)


ALIKE: dict[str, Callable[[FunctionProto], object]] = {
    "documentation": lambda f: setattr(f, "doc_string", "silu of layer 7"),
    "documentation of a node": lambda f: setattr(f.node[1], "doc_string", "line 12"),
    "names of nodes": lambda f: setattr(f.node[1], "name", "n0"),
    "metadata of a node": lambda f: f.node[1].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="line 12"),
    "metadata": lambda f: f.metadata_props.add(key="source", value="model.py"),
    "declared types": lambda f: f.value_info.append(helper.make_tensor_value_info("s", 1, ["n", 4])),
    "names inside": _rename_inside,
    "the form and name of a constant": _typed,
    "an import of what it does not use": lambda f: f.opset_import.add(domain="lib", version=1),
    "the spelling of the standard domain": lambda f: setattr(f.node[1], "domain", "ai.onnx"),
}


@pytest.mark.parametrize("difference", ALIKE)
def test_functions_that_differ_in_what_means_nothing_are_one(difference: str) -> None:
    first, second = silu("x", "y"), silu("y", "z", ALIKE[difference])
    for one, two in ((first, second), (silu("x", "y", ALIKE[difference]), silu("y", "z"))):
        both = oh.chain(one, two)
        assert names_of(both) == [("lib", "silu", "")]
        expected = run(two, run(one, {"x": X}))["z"]
        np.testing.assert_array_equal(run(both, {"x": X})["z"], expected)


@pytest.mark.parametrize("texts", [("of a", "of b"), ("", "of b")])
def test_the_first_part_says_how_a_function_is_documented(texts: tuple[str, str]) -> None:
    first = silu("x", "y", lambda f: setattr(f, "doc_string", texts[0]))
    second = silu("y", "z", lambda f: setattr(f, "doc_string", texts[1]))
    (function,) = oh.chain(first, second).to_proto().functions
    assert function.doc_string == texts[0]


def test_sizes_that_only_one_part_declares_inside_of_a_function_are_not_told_of_the_other() -> None:
    wide = silu("x", "y", lambda f: f.value_info.append(helper.make_tensor_value_info("s", 1, [2, 4])))
    (function,) = oh.chain(wide, silu("y", "z")).to_proto().functions
    assert not function.value_info
    (alone,) = oh.chain(wide, wide.rename({"x": "y", "y": "z"})).to_proto().functions
    assert len(alone.value_info) == 1


def _other_constant(function: FunctionProto) -> None:
    function.node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(np.array(2, np.float32)))


def _other_default(function: FunctionProto) -> None:
    function.node[1].op_type = "Elu"
    function.node[1].attribute.add(name="alpha", ref_attr_name="alpha", type=1)
    function.attribute_proto.append(helper.make_attribute("alpha", 3.0))


OTHERWISE: dict[str, Callable[[FunctionProto], object]] = {
    "an operator": lambda f: setattr(f.node[1], "op_type", "Tanh"),
    "the wiring": lambda f: f.node[3].input.__setitem__(1, "s"),
    "a constant": _other_constant,
    "an attribute's default": _other_default,
    "what is given": lambda f: f.output.__setitem__(0, "t"),
}


@pytest.mark.parametrize("difference", OTHERWISE)
def test_functions_of_one_name_and_another_meaning_are_told_apart_by_part(difference: str) -> None:
    one, two = silu("x", "y"), silu("y", "z", OTHERWISE[difference])
    both = oh.chain(one, two)
    assert names_of(both) == [("lib", "silu", ""), ("lib", "z_of_y/silu", "")]
    expected = run(two, run(one, {"x": X}))["z"]
    np.testing.assert_array_equal(run(both, {"x": X})["z"], expected)


def calling(operator: str, takes: str, gives: str, nested: bool = False) -> oh.Model:
    """A model whose function `outer` calls `inner`, which is an operator; in a branch of an If where it is nested."""
    call = "r = l.inner(a)"
    if nested:
        call = (
            "c = Constant<value = bool {1}>() r = If(c)<then_branch = yes () => (p) { p = l.inner(a) },"
            " else_branch = no () => (q) { q = Neg(a) }>"
        )
    return oh.Model.from_proto(
        parser.parse_model(
            f'<ir_version:10, opset_import:["":18, "l":1]> {operator} (float[n,4] {takes}) => (float[n,4] {gives})'
            f' {{ {gives} = l.outer({takes}) }} <domain:"l", opset_import:["":18, "l":1]> outer (a) => (r) {{ {call} }}'
            f' <domain:"l", opset_import:["":18]> inner (a) => (r) {{ r = {operator}(a) }}'
        )
    )


@pytest.mark.parametrize("nested", [False, True])
def test_a_function_that_calls_another_one_is_another_one(nested: bool) -> None:
    one, two = calling("Exp", "x", "y", nested), calling("Tanh", "y", "z", nested)
    both = oh.chain(one, two)
    assert sorted(name for _, name, _ in names_of(both)) == ["Tanh/inner", "Tanh/outer", "inner", "outer"]
    np.testing.assert_array_equal(run(both, {"x": X})["z"], run(two, run(one, {"x": X}))["z"])
    again = oh.chain(both, two.rename({"y": "z", "z": "w"}), calling("Exp", "w", "v", nested))
    assert len(names_of(again)) == 4
    expected = run(calling("Exp", "w", "v", nested), {"w": run(two, {"y": run(both, {"x": X})["z"]})["z"]})["v"]
    np.testing.assert_array_equal(run(again, {"x": X})["v"], expected)


@pytest.mark.parametrize("overload", ["", "v2"])
def test_the_names_of_functions_are_kept_apart_in_every_combinator(overload: str) -> None:
    def change(operator: str) -> Callable[[FunctionProto], object]:
        def changed(function: FunctionProto) -> None:
            function.node[1].op_type, function.overload = operator, overload

        return changed

    def part(takes: str, operator: str) -> oh.Model:
        proto = silu(takes, "y", change(operator)).to_proto()
        proto.graph.node[0].overload, proto.graph.name = overload, operator
        return oh.Model.from_proto(proto)

    a, b = part("x", "Sigmoid"), part("x", "Tanh")
    ya, yb = (run(model, {"x": X})["y"] for model in (a, b))
    sides = run(oh.parallel(a=a, b=b), {"x": X})
    np.testing.assert_array_equal(sides["a/y"], ya)
    np.testing.assert_array_equal(sides["b/y"], yb)
    for chosen in (True, False):
        switched = run(oh.switch("c", then=a, else_=b), {"x": X, "c": np.array(chosen)})
        np.testing.assert_array_equal(switched["y"], ya if chosen else yb)
    for index in (0, 1):
        routed = run(oh.route("i", [a, b]), {"x": X, "i": np.array(index)})
        np.testing.assert_array_equal(routed["y"], (ya, yb)[index])
    np.testing.assert_allclose(run(oh.ensemble([a, b]), {"x": X})["y"], (ya + yb) / 2, rtol=1e-6)
    for limit, expected in ((-9.0, ya), (9.0, yb)):
        judged = run(oh.cascade(a, b, accept=oh.judge.value("y") >= limit), {"x": X})
        np.testing.assert_array_equal(judged["y"], expected)
    replaced = oh.splice(oh.chain(a.rename({"y": "m"}), b.rename({"x": "m"})), ["x"], ["m"], b.rename({"y": "m"}))
    np.testing.assert_array_equal(run(replaced, {"x": X})["y"], run(b, {"x": yb})["y"])


def test_both_sides_of_a_cut_share_their_functions_again() -> None:
    whole = oh.chain(calling("Exp", "x", "y"), calling("Tanh", "y", "z"))
    head, tail = oh.split(whole, ["y"])
    assert names_of(oh.chain(head, tail)) == names_of(whole)


def contrib(body: str, takes: str, gives: str, name: str = "Gelu") -> oh.Model:
    return oh.Model.from_proto(
        parser.parse_model(
            f'<ir_version:10, opset_import:["":18, "com.microsoft":1]> {body} (float[n,4] {takes})'
            f" => (float[n,4] {gives}) {{ {gives} = com.microsoft.{name}({takes}) }}"
            f' <domain:"com.microsoft", opset_import:["":18]> {name} (a) => (r) {{ r = {body}(a) }}'
        )
    )


def test_a_function_with_the_name_of_an_operator_of_the_runtime_keeps_it_since_the_operator_runs() -> None:
    one, two = contrib("Neg", "x", "y"), contrib("Exp", "y", "z")
    expected = run(two, run(one, {"x": X}))["z"]
    assert not np.array_equal(expected, np.exp(-X))  # neither function ran
    np.testing.assert_array_equal(run(oh.chain(one, two), {"x": X})["z"], expected)
    prefixed = one.prefix("p/", functions=True)
    np.testing.assert_array_equal(run(prefixed, {"p/x": X})["p/y"], run(one, {"x": X})["y"])


def test_a_function_of_a_contrib_domain_that_the_runtime_does_not_know_is_told_apart() -> None:
    one, two = contrib("Neg", "x", "y", "Mine"), contrib("Exp", "y", "z", "Mine")
    np.testing.assert_allclose(run(oh.chain(one, two), {"x": X})["z"], np.exp(-X), rtol=1e-6)
    np.testing.assert_array_equal(run(one.prefix("p/", functions=True), {"p/x": X})["p/y"], -X)


@pytest.mark.parametrize("first", [True, False])
def test_a_name_that_is_an_operator_of_a_library_in_another_part_stays_that_operators(first: bool) -> None:
    function = silu("x", "y")
    plain = silu("y", "z").to_proto() if first else silu("w", "x").to_proto()
    del plain.functions[:]
    operator = oh.Model.from_proto(plain)
    both = oh.chain(function, operator) if first else oh.chain(operator, function)
    ((_, name, _),) = names_of(both)
    assert name != "silu"
    called = [node.op_type for node in both.to_proto().graph.node if node.domain]  # but for what guards sizes
    assert called == ([name, "silu"] if first else ["silu", name])


def test_a_part_with_two_functions_of_one_name_is_refused_as_the_runtime_refuses_it() -> None:
    proto = silu("x", "y").to_proto()
    proto.functions.add().CopyFrom(proto.functions[0])
    with pytest.raises(oh.ValidationError, match=r"OH104.*lib\.silu"):
        oh.chain(oh.Model.from_proto(proto), silu("y", "z"))
    assert [finding.code for finding in oh.validate(oh.Model.from_proto(proto))] == ["OH104"]


def test_a_large_constant_of_a_function_is_compared_by_its_values(tmp_path: Any) -> None:
    def part(scale: float, takes: str, gives: str, file: str) -> oh.Model:
        weight = numpy_helper.from_array(np.full((1, 4096), scale, np.float32))
        nodes = [
            helper.make_node("Constant", [], ["w"], value=weight),
            helper.make_node("ReduceMax", ["w"], ["m"], keepdims=0),
            helper.make_node("Mul", ["a", "m"], ["r"]),
        ]
        function = helper.make_function("l", "scale", ["a"], ["r"], nodes, [helper.make_opsetid("", 17)])
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in (takes, gives)]
        graph = helper.make_graph(
            [helper.make_node("scale", [takes], [gives], domain="l")], file, values[:1], values[1:]
        )
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("l", 1)]
        made = helper.make_model(graph, functions=[function], opset_imports=imports, ir_version=8)
        oh.Model.from_proto(made).save(tmp_path / file)
        return oh.load(tmp_path / file)

    a, b, c = part(2, "x", "y", "a.onnx"), part(2, "y", "z", "b.onnx"), part(3, "y", "z", "c.onnx")
    assert len(names_of(oh.chain(a, b))) == 1
    np.testing.assert_array_equal(run(oh.chain(a, b), {"x": X})["z"], X * 4)
    np.testing.assert_array_equal(run(oh.chain(a, c), {"x": X})["z"], X * 6)


def test_remote_calls_in_functions_are_told_apart_by_the_types_that_they_declare() -> None:
    def part(dtype: int, takes: str, gives: str) -> oh.Model:
        remote = oh.remote.triton(
            "http://127.0.0.1:9",
            "m",
            inputs=[oh.TensorSpec("i", "float32", ("n",))],
            outputs=[oh.TensorSpec("o", "float32", ("n",))],
        )
        (call,) = remote.to_proto().graph.node
        call.input[:], call.output[:] = ["a"], ["r"]
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
        last = helper.make_node("Cast", ["r"], ["s"], to=1)
        function = helper.make_function("l", "call", ["a"], ["s"], [call, last], imports)
        function.value_info.append(helper.make_tensor_value_info("r", dtype, ["n"]))
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in (takes, gives)]
        graph = helper.make_graph(
            [helper.make_node("call", [takes], [gives], domain="l")], gives, values[:1], values[1:]
        )
        made = helper.make_model(
            graph, functions=[function], opset_imports=[*imports, helper.make_opsetid("l", 1)], ir_version=10
        )
        return oh.Model.from_proto(made)

    assert len(names_of(oh.chain(part(1, "x", "y"), part(1, "y", "z")))) == 1
    assert len(names_of(oh.chain(part(1, "x", "y"), part(7, "y", "z")))) == 2


def test_a_judge_that_another_release_wrote_otherwise_can_be_combined_with_one_of_ours() -> None:
    proto = (oh.judge.max_probability("p") >= 0.9).to_proto()
    function = proto.functions[0]
    function.node.add(op_type="Identity", input=[function.input[0]], output=["unread"], name="more")
    both = (oh.judge.max_probability("p") >= 0.5) & oh.Model.from_proto(proto)
    rows = np.array([[0.6, 0.4], [0.95, 0.05]], np.float32)
    for judge, expected in ((both, [False, True]), (~both, [True, False])):
        (accepted,) = oh.Session(judge).run(None, {"p": rows})
        np.testing.assert_array_equal(accepted, expected)


_UNARY = ("Neg", "Abs", "Tanh", "Relu")


@st.composite
def with_functions(draw: st.DrawFn, takes: str, gives: str) -> oh.Model:
    """Models with functions called f0, f1 and f2 that mean something else in each, and call each other."""
    functions: list[FunctionProto] = []
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("l", 1)]
    for number in range(draw(st.integers(1, 3))):
        names = draw(st.sampled_from(["ab", "pq"]))
        steps = [*_step(draw, number, names[0], f"{names}0"), *_step(draw, number, f"{names}0", names[1])]
        function = helper.make_function("l", f"f{number}", [names[0]], [names[1]], steps, imports)
        function.doc_string = draw(st.sampled_from(["", "a", "b"]))
        functions.append(function)
    nodes = [*_step(draw, len(functions), takes, "t"), *_step(draw, len(functions), "t", gives)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in (takes, gives)]
    graph = helper.make_graph(nodes, draw(st.sampled_from(["g", "f0"])), values[:1], values[1:])
    proto = helper.make_model(graph, functions=functions, opset_imports=imports, ir_version=10)
    return oh.Model.from_proto(proto)


def _step(draw: st.DrawFn, functions: int, source: str, target: str) -> list[NodeProto]:
    """A call of one of the functions so far, or an operator; perhaps in a branch."""
    call = draw(st.integers(-1, functions - 1))
    domain, operator = ("l", f"f{call}") if call >= 0 else ("", draw(st.sampled_from(_UNARY)))
    if not draw(st.booleans()):
        return [
            helper.make_node(
                operator, [source], [target], name=draw(st.sampled_from(["", f"n/{target}"])), domain=domain
            )
        ]
    inner = [
        helper.make_node(operator, [source], ["inner"], domain=domain),
        helper.make_node("Constant", [], ["k"], value_float=draw(st.sampled_from([1.0, 2.0]))),
        helper.make_node("Mul", ["inner", "k"], ["scaled"]),
    ]
    branch = helper.make_graph(inner, "branch", [], [helper.make_tensor_value_info("scaled", TensorProto.FLOAT, None)])
    condition = helper.make_node(
        "Constant", [], [f"{target}/c"], value=numpy_helper.from_array(np.array(draw(st.booleans())))
    )
    return [condition, helper.make_node("If", [f"{target}/c"], [target], then_branch=branch, else_branch=branch)]


@given(st.data())
def test_a_chain_of_models_with_functions_of_one_name_equals_its_parts(data: st.DataObject) -> None:
    a, b = data.draw(with_functions("x", "y")), data.draw(with_functions("y", "z"))
    expected = run(b, run(a, {"x": X}))["z"]
    np.testing.assert_array_equal(run(oh.chain(a, b), {"x": X})["z"], expected)
