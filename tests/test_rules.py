"""The rules of `validate`, one by one: what each finds, and that it keeps quiet where it should."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.servers.raw import answer, raw_server
from tests.strategies import dense, of_graph

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
LOCAL = "http://127.0.0.1:1"
SPECS = [oh.TensorSpec("x", "float32", ("n", 3))], [oh.TensorSpec("y", "float32", ("n", 3))]


def remote(url: str = LOCAL, *outputs: str, **options: Any) -> oh.Model:
    given = [oh.TensorSpec(name, "float32", ("n", 3)) for name in outputs or ("y",)]
    return oh.remote.triton(url, "m", inputs=SPECS[0], outputs=given, **options)


def codes(model: oh.Model, **options: Any) -> list[str]:
    return [finding.code for finding in oh.validate(model, **options)]


def value(name: str, kind: int = FLOAT, shape: Any = (1,)) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def branch(name: str, *nodes: NodeProto, kind: int = FLOAT, weights: Sequence[TensorProto] = ()) -> GraphProto:
    return helper.make_graph(list(nodes), name, [], [value(nodes[-1].output[-1], kind)], list(weights))


def choice(then: GraphProto, otherwise: GraphProto, condition: str = "c") -> NodeProto:
    return helper.make_node("If", [condition], ["y"], name="choice", then_branch=then, else_branch=otherwise)


def importing(domain: str, opset: int = 17) -> list[Any]:
    return [helper.make_opsetid("", opset), helper.make_opsetid(domain, 1)]


def graph(*nodes: NodeProto, weights: Sequence[TensorProto] = (), **more: Any) -> oh.Model:
    inputs = [value("x"), value("c", BOOL, ())]
    return of_graph(helper.make_graph(list(nodes), "g", inputs, [value("y")], list(weights)), **more)


def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [output], name=operator.lower(), **attributes)


NEG, ABS = branch("then", node("Neg", ["x"], "a")), branch("else", node("Abs", ["x"], "b"))
TRUE = numpy_helper.from_array(np.array(True), "always")
ONE = numpy_helper.from_array(np.array([1.0], np.float32), "one")
HEAVY = numpy_helper.from_array(np.zeros(1000, np.float32), "w")

FINDINGS: dict[str, tuple[str, oh.Model]] = {
    "a constant condition": ("OH120", graph(choice(NEG, ABS, "always"), weights=[TRUE])),
    "a condition of a Constant node": (
        "OH120",
        graph(node("Constant", [], "always", value=TRUE), choice(NEG, ABS, "always")),
    ),
    "branches of two types": (
        "OH121",
        graph(choice(NEG, branch("else", node("Cast", ["x"], "b", to=TensorProto.DOUBLE), kind=TensorProto.DOUBLE))),
    ),
    "a name that hides another": ("OH122", graph(choice(branch("then", node("Neg", ["c"], "x")), ABS))),
    "weights in a branch": ("OH123", graph(choice(branch("then", node("Neg", ["w"], "a"), weights=[HEAVY]), ABS))),
    "a misspelt operator": ("OH124", graph(node("Relo", ["x"], "y"))),
    "an operator that has gone": ("OH124", graph(node("Upsample", ["x", "x"], "y"), opset=17)),
    "a comparison with itself": (
        "OH125",
        graph(node("Less", ["x", "x"], "d"), node("Squeeze", ["d"], "e"), choice(NEG, ABS, "e")),
    ),
    "a decision without data": (
        "OH125",
        graph(
            node("Less", ["one", "one2"], "d"),
            node("Squeeze", ["d"], "e"),
            choice(NEG, ABS, "e"),
            weights=[ONE, numpy_helper.from_array(np.array([2.0], np.float32), "one2")],
        ),
    ),
    "plain http": ("OH307", remote("http://gpu.example:8000")),
    "plain gRPC": ("OH307", remote("grpc://gpu.example:8001")),
    "a token over plain http": ("OH305", remote("http://gpu.example", auth=oh.Credential("gpu"))),
    "a day's deadline": ("OH308", remote(timeout=86_400)),
    "an unused output": ("OH309", oh.chain(remote(LOCAL, "y", "z"), dense("d", "y", "q", (3, 2))).select(["q"])),
    "flags that nobody reads": ("OH310", remote(on_error="flag").select(["y"])),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_a_rule_finds_what_it_is_for(name: str) -> None:
    code, model = FINDINGS[name]
    found = [finding for finding in oh.validate(model) if finding.code == code]
    assert len(found) == 1, str(oh.validate(model))
    assert found[0].code in str(oh.validate(model))


@pytest.mark.parametrize("operator", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_every_comparison_with_itself_is_found(operator: str) -> None:
    decided = graph(node(operator, ["x", "x"], "d"), node("Squeeze", ["d"], "e"), choice(NEG, ABS, "e"))
    (finding,) = oh.validate(decided).findings
    assert finding.message == f"{operator} compares 'x' with itself"
    compared = graph(
        node(operator, ["x", "one"], "d"), node("Squeeze", ["d"], "e"), choice(NEG, ABS, "e"), weights=[ONE]
    )
    assert codes(compared) == []


CHANCE = {
    "RandomNormal": node("RandomNormal", [], "r", shape=[1]),
    "RandomUniform": node("RandomUniform", [], "r", shape=[1]),
    "RandomNormalLike": node("RandomNormalLike", ["one"], "r"),
    "RandomUniformLike": node("RandomUniformLike", ["one"], "r"),
    "Bernoulli": node("Bernoulli", ["one"], "r"),
    "Multinomial": node("Multinomial", ["logits"], "r", dtype=TensorProto.INT64),
}


@pytest.mark.parametrize("operator", [*CHANCE, "Neg"])
def test_a_decision_by_chance_is_one_and_one_by_constants_is_none(operator: str) -> None:
    drawn = CHANCE.get(operator, node("Neg", ["one"], "r"))
    steps = [drawn, node("Cast", ["r"], "drawn", to=BOOL), node("Squeeze", ["drawn"], "e"), choice(NEG, ABS, "e")]
    logits = numpy_helper.from_array(np.zeros((1, 3), np.float32), "logits")
    assert codes(graph(*steps, weights=[ONE, logits])) == (["OH125"] if operator == "Neg" else [])


def test_a_decision_in_a_branch_may_depend_on_the_graphs_around() -> None:
    inner = branch("then", node("Less", ["x", "one"], "d"), node("Squeeze", ["d"], "e"), choice(NEG, ABS, "e"))
    assert codes(graph(choice(inner, branch("else2", node("Abs", ["x"], "q"))), weights=[ONE])) == []


@pytest.mark.parametrize(("size", "found"), [(1023, []), (1024, ["OH123"])])
def test_weights_of_a_branch_count_from_a_kibibyte_of_any_type_and_as_constants(size: int, found: list[str]) -> None:
    texts = numpy_helper.from_array(np.array(["a" * (size - 5), "12345"], object), "w")
    raw = numpy_helper.from_array(np.zeros(size, np.int8), "w")
    for tensor, kind in ((texts, TensorProto.STRING), (raw, TensorProto.INT8)):
        held = branch("then", node("Identity", ["w"], "a"), kind=kind, weights=[tensor])
        made = branch("then", node("Constant", [], "a", value=tensor), kind=kind)
        other = branch("else", node("Identity", ["s"], "b"), kind=kind)
        for then in (held, made):
            taken = [value("s", kind), value("c", BOOL, ())]
            model = of_graph(helper.make_graph([choice(then, other)], "g", taken, [value("y", kind)]))
            assert codes(model) == found


def test_weights_of_an_if_inside_of_a_branch_are_told_once() -> None:
    heavy = branch("then", node("Identity", ["w"], "a"), weights=[HEAVY])
    inner = branch("then", choice(heavy, ABS))
    assert codes(graph(choice(inner, branch("else2", node("Abs", ["x"], "q"))))) == ["OH123"]


def test_a_flag_is_ok_alone_whoever_reads_the_others() -> None:
    flagged = remote(on_error="flag")
    assert codes(flagged.select(["y", "status", "error"])) == ["OH310"]
    assert codes(flagged.select(["y", "ok"])) == []


def test_a_malformed_remote_node_is_one_finding_and_hides_nothing_else() -> None:
    proto = remote("http://gpu.example", timeout=86_400).to_proto()
    broken = proto.graph.node.add()
    broken.CopyFrom(proto.graph.node[0])
    broken.name, broken.output[0] = "broken", "z"
    proto.graph.output.append(value("z", FLOAT, ("n", 3)))
    del broken.attribute[:]
    found = oh.validate(oh.Model.from_proto(proto))
    assert sorted(finding.code for finding in found) == ["OH301", "OH307", "OH308"]
    assert all("'broken'" in finding.where for finding in found.errors)


def test_operators_of_traditional_models_are_checked_like_those_of_the_standard_domain() -> None:
    def scaled(operator: str) -> oh.Model:
        scaler = node(operator, ["x"], "y", domain="ai.onnx.ml", scale=[1.0], offset=[0.0])
        return graph(scaler, opset_imports=importing("ai.onnx.ml"))

    assert codes(scaled("Scaler")) == []
    assert codes(scaled("Scalar")) == ["OH124"]


def test_the_operators_that_a_session_brings_by_itself_need_no_warning() -> None:
    model = graph(
        node("StringLength", ["x"], "y", domain="ai.onnx.contrib"), opset_imports=importing("ai.onnx.contrib")
    )
    assert codes(model) == []


def test_a_domain_without_a_library_is_a_warning() -> None:
    model = graph(node("Odd", ["x"], "y", domain="com.example"), opset_imports=importing("com.example"))
    assert codes(model) == ["OH126"]
    known = graph(node("Gelu", ["x"], "y", domain="com.microsoft"), opset_imports=importing("com.microsoft"))
    assert codes(known) == []


def test_an_operator_in_a_function_is_checked_by_the_function_s_imports() -> None:
    proto = graph(node("F", ["x"], "y", domain="f"), opset_imports=importing("f")).to_proto()
    imports = [helper.make_opsetid("", 9)]
    proto.functions.append(helper.make_function("f", "F", ["a"], ["b"], [node("Upsample", ["a", "a"], "b")], imports))
    assert codes(oh.Model.from_proto(proto)) == []
    proto.functions[0].opset_import[0].version = 17
    assert codes(oh.Model.from_proto(proto)) == ["OH124"]


def looped() -> oh.Model:
    body = helper.make_graph(
        [*remote().to_proto().graph.node, node("Identity", ["go"], "again")],
        "body",
        [value("i", TensorProto.INT64, ()), value("go", BOOL, ())],
        [value("again", BOOL, ()), value("y", FLOAT, (None, 3))],
    )
    loop = helper.make_node("Loop", ["n", ""], ["ys"], name="rows", body=body)
    inputs = [value("n", TensorProto.INT64, ()), value("x", FLOAT, ("n", 3))]
    main = helper.make_graph([loop], "g", inputs, [value("ys", FLOAT, None)])
    return of_graph(main, opset_imports=importing("ai.onnxhybrid"))


def test_a_call_in_a_loop_is_a_warning() -> None:
    report = oh.validate(looped())
    assert [finding.code for finding in report] == ["OH311"]
    assert "'rows'" in str(report)


def test_a_graph_put_together_by_hand_does_not_say_what_leaves() -> None:
    model = oh.chain(remote(), dense("d", "y", "q", (3, 2)))
    assert codes(model) == []
    proto: ModelProto = model.to_proto()
    del proto.metadata_props[:]
    assert codes(oh.Model.from_proto(proto)) == ["OH314"]


@pytest.mark.parametrize(
    "model",
    [
        oh.cascade(dense("a", "x", "y", (3, 3)), remote(), accept=oh.judge.max_probability("y") >= 0.8),
        oh.switch("c", dense("a", "x", "y", (3, 3)), remote()),
        oh.parallel(edge=dense("a", "x", "y", (3, 3)), cloud=remote(on_error="flag")),
        oh.switch("c", oh.switch("d", remote(), dense("a", "x", "y", (3, 3))), dense("b", "x", "y", (3, 3), seed=1)),
    ],
    ids=["cascade", "switch", "parallel", "nested"],
)
def test_what_the_combinators_write_has_no_findings(model: oh.Model) -> None:
    assert oh.validate(model).findings == ()


def test_a_warning_can_be_silenced_for_the_model_or_for_a_node() -> None:
    pair = oh.parallel(a=remote("http://a.example"), b=remote("http://b.example"))
    assert codes(pair) == ["OH307", "OH307"]
    assert codes(pair.with_metadata({"onnxhybrid.noqa": "OH308, oh307"})) == []
    (kept,) = oh.validate(pair.with_metadata({"onnxhybrid.noqa": "OH307@a/m"})).findings
    assert "b.example" in kept.message
    broken = graph(node("Relo", ["x"], "y")).with_metadata({"onnxhybrid.noqa": "OH124"})
    assert codes(broken) == ["OH124"]  # an error stays one


def test_a_report_is_json() -> None:
    report = json.loads(oh.validate(FINDINGS["plain http"][1]).to_json())
    assert report["ok"] is True
    assert [(row["code"], row["severity"]) for row in report["findings"]] == [("OH307", "warning")]


def as_described(url: str, taken: oh.TensorSpec, given: oh.TensorSpec) -> oh.Model:
    return oh.remote.triton(url, "m", inputs=[taken], outputs=[given])


def test_only_online_asks_the_server() -> None:
    with serve({"m": dense("d", "x", "y", (3, 3))}) as server:
        right = oh.remote.triton(server.url, "m")
        assert codes(right, online=True) == []
        assert codes(oh.chain(right, dense("e", "y", "z", (3, 3))), online=True) == []
        for wrong, name in (
            (remote(server.url, "other"), "'other'"),
            (
                oh.remote.triton(server.url, "m", inputs=[oh.TensorSpec("a", "float32", (1, 3))], outputs=SPECS[1]),
                "'a'",
            ),
            (
                oh.remote.triton(server.url, "m", inputs=[oh.TensorSpec("x", "int64", (1, 3))], outputs=SPECS[1]),
                "int64",
            ),
            (oh.remote.triton(server.url, "m", inputs=SPECS[0], outputs=[oh.TensorSpec("y", "bool", (1, 3))]), "bool"),
        ):
            assert codes(wrong) == []
            report = oh.validate(wrong, online=True)
            assert not report
            assert {finding.code for finding in report} == {"OH312"}
            assert name in str(report)
        assert codes(remote(f"{server.url}/nowhere"), online=True) == ["OH313"]
    with raw_server(answer(b"<html>", kind="text/html")) as other:
        assert codes(remote(other.url), online=True) == ["OH313"]


def test_only_online_is_anything_sent() -> None:
    with raw_server(answer(b"{}")) as server:
        oh.validate(remote(server.url))
        assert not server.requests
