"""`oh.egress`: which inputs can change what a model sends, and whether it sends it (docs/egress.md)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import onnxhybrid as oh
from onnxhybrid.disclosure import Egress
from onnxhybrid.model.graphs import all_nodes
from onnxhybrid.model.remote_spec import DOMAIN
from tests.old_models import AUTH, old_model
from tests.servers.echo import echo_server, remote
from tests.servers.raw import RawServer
from tests.strategies import dense
from tests.wires import Tally, Trial, compositions, explore, graphs, moody, summary

URL = "https://gpu.example"
LOCAL = dense("local", "x", "y", (3, 3), softmax=True)
JUDGE = oh.judge.max_probability("y") >= oh.Input("threshold", default=0.5)
CLOUD = remote(URL, "m")

Reached = dict[str, tuple[list[str], list[str]]]


def reached(model: oh.Model) -> Reached:
    """Node -> the inputs that change what it sends, and those that decide whether."""
    return {outflow.node: (list(outflow.content), list(outflow.decides)) for outflow in oh.egress(model)}


def written(text: str) -> oh.Model:
    """A model in onnx's text form, in which Call is a remote call, called like its output."""
    head = f'<ir_version: 10, opset_import: ["": 21, "f": 1, "{DOMAIN}": 1]>'
    proto = onnx.parser.parse_model(f"{head} {text}")
    for node in all_nodes(proto):
        if node.op_type in ("Call", "Flagged", "Start"):
            cloud = remote(URL, "m", on_error="flag") if node.op_type == "Flagged" else CLOUD
            node.attribute.extend(cloud.skeleton.graph.node[0].attribute)
            if node.op_type == "Start":
                node.attribute.append(helper.make_attribute("output_types", '["float32"]'))
            node.name, node.domain = node.output[0], DOMAIN
            node.op_type = "Begin" if node.op_type == "Start" else "Invoke"
        elif node.op_type in ("Await", "Cancel"):
            node.domain = DOMAIN
    return oh.Model.from_proto(proto)


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with echo_server(moody) as serving:
        yield serving


def promised(kind: Any, server: RawServer, examples: int) -> Tally:
    """Hold so many hybrids to what is said of them."""
    tally = Tally()

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def each(data: st.DataObject) -> None:
        model = data.draw(kind(server.url))
        if model.remotes:
            seed = data.draw(st.integers(0, 2**32 - 1))
            explore(Trial.of(model, server), np.random.default_rng(seed), tally)

    each()
    print(tally)
    return tally


@pytest.mark.parametrize("kind", [graphs, compositions])
def test_an_input_that_is_not_listed_changes_nothing_on_the_wire(kind: Any, server: RawServer) -> None:
    assert promised(kind, server, 40).runs


@pytest.mark.attack
@pytest.mark.parametrize(("kind", "hybrids"), [(graphs, 1200), (compositions, 1200)])
def test_no_input_is_listed_that_need_not_be(kind: Any, hybrids: int, server: RawServer) -> None:
    tally = promised(kind, server, 2 * hybrids)
    assert tally.hybrids >= hybrids
    assert tally.share("any") <= 0.05, summary(tally.idle)
    assert tally.share("content") <= 0.05, summary(tally.idle)
    assert tally.share("decides") <= 0.1, summary(tally.idle)  # rows of one input alone mostly make a run fail


def test_a_cascade_is_decided_by_its_judge_and_a_speculative_one_is_not() -> None:
    assert reached(oh.cascade(LOCAL, CLOUD, JUDGE)) == {"remote/m": (["x"], ["x", "threshold"])}
    assert reached(oh.cascade(LOCAL, CLOUD, JUDGE, speculate=True)) == {"remote/m": (["x"], [])}


def test_which_rows_are_sent_is_content_and_decides() -> None:
    assert reached(oh.cascade(LOCAL, CLOUD, JUDGE, rows=True)) == {"remote/m": (["x", "threshold"], ["x", "threshold"])}


def test_what_goes_along_with_the_rows_decides_nothing() -> None:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xwy"]
    both = oh.remote.triton(URL, "m", inputs=specs[:2], outputs=specs[2:])
    (outflow,) = oh.egress(oh.cascade(LOCAL, both, JUDGE, rows=True))
    assert set(outflow.content) == {"x", "w", "threshold"}
    assert set(outflow.decides) == {"x", "threshold"}  # another number of rows of w alone is an error
    assert outflow.max_bytes is not None


def test_a_backup_is_decided_by_all_that_its_primary_sent() -> None:
    other = remote(URL, "m").rename({"x": "w"})
    assert reached(oh.fallback(CLOUD, other)) == {"primary/m": (["x"], []), "backup/m": (["w"], ["x"])}


def test_an_answer_depends_on_all_that_was_sent_for_it() -> None:
    first = oh.chain(CLOUD.rename({"y": "z"}), remote(URL, "n").rename({"x": "z"}))
    assert [*reached(first).values()] == [(["x"], []), (["x"], [])]
    assert reached(oh.switch("c", LOCAL, CLOUD)) == {"else/m": (["x"], ["c"])}


def test_branches_reach_what_they_take_from_outside() -> None:
    found = reached(
        written(
            """g (float[n,3] x, float[n,3] w, bool c, float[n,3] unused) => (float[n,3] y) {
                outer = Neg(w)
                y = If (c) <then_branch = a () => (z) { sent = Call(outer) z = Add(sent, x) },
                            else_branch = b () => (v) { v = Identity(unused) }>
            }"""
        )
    )
    assert found == {"sent": (["w"], ["c"])}


def test_a_condition_that_is_constant_decides_nothing() -> None:
    found = reached(
        written(
            """g (float[n,3] x, float[n,3] w) => (float[n,3] y) {
                yes = Constant<value_int = 1>() c = Cast<to = 9>(yes)
                y = If (c) <then_branch = a () => (z) { z = Call(x) }, else_branch = b () => (v) { v = Call(w) }>
            }"""
        )
    )
    assert found == {"z": (["x"], []), "v": ([], [])}


def test_a_loop_is_walked_until_nothing_new_is_carried() -> None:
    body = """<body = turn (int64 i, bool go, float[n,3] a, float[n,3] b, float[n,3] k) => (on, a1, b1, k1) {
                on = Identity(go) sent = Call(a) a1 = Add(b, k) b1 = Neg(w) k1 = Identity(k) }>"""
    head = "float[n,3] x, float[n,3] s, float[n,3] w, float[n,3] u"
    model = f"g ({head}, int64 times) => (float[n,3] y) {{ y, p, q = Loop (times, , x, s, u) {body} last = Call(q) }}"
    assert reached(written(model)) == {"sent": (["x", "s", "w", "u"], ["times"]), "last": (["u"], [])}
    twice = model.replace("Loop (times", "two = Constant<value_int = 2>() y, p, q = Loop (two").replace(
        "y, p, q = two", "two"
    )
    assert reached(written(twice)) == {"sent": (["x", "s", "u"], []), "last": (["u"], [])}


@pytest.mark.parametrize("times", ["int64 times", ""])
def test_what_is_carried_in_two_places_is_told_apart(times: str) -> None:
    turn = """<body = turn (int64 i, bool go, float[n,3] a, float[n,3] b) => (on, a1, b1) {
                on = Identity(go) a1 = Identity(b) b1 = Neg(b) }>"""
    count = "" if times else "times = Constant<value_int = 3>()"
    head = f"g (float[n,3] x{', ' if times else ''}{times}) => (float[n,3] y)"
    model = written(f"{head} {{ {count} p, q = Loop (times, , x, x) {turn} y = Call(p) }}")
    assert reached(model) == {"y": (["x", "times"] if times else ["x"], [])}


def test_attributes_of_a_function_are_those_of_each_call() -> None:
    model = written(
        """g (float[n,3] x, float[n,3] w) => (float[n,3] y) { y = f.Ask <yes = 1> (x, w) }
        <domain: "f", opset_import: ["": 21, "ai.onnxhybrid": 1]> Ask <yes> (p, q) => (r) {
            number = Constant <value_int: int = @yes> () c = Cast<to = 9>(number)
            r = If (c) <then_branch = a () => (s) { s = Call(p) }, else_branch = b () => (t) { t = Call(q) }>
        }"""
    )
    assert reached(model) == {"s": (["x"], []), "t": ([], [])}


def test_an_operator_with_a_kernel_of_its_own_is_not_what_a_function_of_its_name_says() -> None:
    model = written(
        """g (float[n,3] x) => (float[n,3] y) { h = com.microsoft.Gelu(x) y = Call(h) }
        <domain: "com.microsoft", opset_import: ["": 21]> Gelu (p) => (q) { s = Shape(p) q = ConstantOfShape(s) }"""
    )
    assert reached(model) == {"y": (["x"], [])}


def test_how_often_a_scan_turns_is_the_length_of_what_it_goes_through() -> None:
    scan = """y, z = Scan <num_scan_inputs = 1, body = turn (float[3] state, float[3] row) => (on, out) {
                on = Add(state, row) out = Call(w) }> (s, x)"""
    assert reached(written(f"g (float[3] s, float[n,3] x, float[3] w) => (float[3] y) {{ {scan} }}")) == {
        "out": (["w"], ["x"])
    }
    assert reached(written(f"g (float[3] s, float[2,3] x, float[3] w) => (float[3] y) {{ {scan} }}")) == {
        "out": (["w"], [])
    }


def test_functions_are_stepped_into_and_overloads_told_apart() -> None:
    model = written(
        """g (float[n,3] x, float[n,3] w, float[n,3] v) => (float[n,3] y) { a = f.Ask(x, w) y = f.Ask:other(a, v) }
        <domain: "f", opset_import: ["": 21, "ai.onnxhybrid": 1]> Ask (p, q) => (r) { s = Neg(p) r = Call(s) }
        <domain: "f", overload: "other", opset_import: ["": 21, "ai.onnxhybrid": 1]>
        Ask (p, q) => (t) { t = Call(q) }"""
    )
    assert reached(model) == {"r": (["x"], []), "t": (["v"], [])}


def test_a_ticket_is_what_was_sent_for_it_and_not_what_is_waited_for() -> None:
    model = written(
        """g (float[n,3] x, float[n,3] w, bool c) => (float[n,3] y, float[n,3] z) {
            ticket = Start(x) slow = Neg(w) answer = Await(ticket, slow) y = Call(answer)
            second = Start(w)
            z = If (c) <then_branch = a () => (dropped1) { dropped = Cancel(second) dropped1 = Identity(x) },
                         else_branch = b () => (got) { got = Await(second) }>
        }"""
    )
    assert reached(model) == {"ticket": (["x"], []), "y": (["x"], []), "second": (["w"], [])}
    assert reached(oh.overlap(oh.parallel(a=CLOUD, b=LOCAL))) == {"a/m": (["x"], [])}


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        ("s = Shape(fixed) t = Cast<to = 1>(s)", []),
        ("s = Size(fixed) t = Cast<to = 1>(s)", []),
        ("s = Shape(x) t = Cast<to = 1>(s)", ["x"]),
        ("s = Size(x) t = Cast<to = 1>(s)", ["x"]),
        ("s = Shape<start = 1>(x) t = Cast<to = 1>(s)", []),
        ("s = Shape(x) i = Constant<value_ints = [1]>() r = Gather(s, i) t = Cast<to = 1>(r)", []),
        ("s = Shape(x) i = Constant<value_ints = [0]>() r = Gather(s, i) t = Cast<to = 1>(r)", ["x"]),
        ("s = Shape(x) t = ConstantOfShape(s)", ["x"]),
        ("s = Shape(fixed) t = ConstantOfShape(s)", []),
        ("n = Neg(fixed) s = Shape(n) t = ConstantOfShape(s)", []),
        ("m = MatMul(fixed, weight) s = Shape(m) t = ConstantOfShape(s)", []),
        ("both = SequenceConstruct(x, fixed) i = Constant<value_int = 1>() t = SequenceAt(both, i)", ["fixed"]),
        ("r = NonZero(fixed) t = Cast<to = 1>(r)", ["fixed"]),
        ("t = Identity(weight)", []),
        ("a, b = Split<num_outputs = 2>(x) t = Identity(a)", ["x"]),
        ("s = Shape(x) z = ConstantOfShape(s) t = Add(z, fixed)", ["fixed"]),  # one row or two
        ("s = Shape(x) z = ConstantOfShape(s) t = Concat<axis = 0>(z, fixed)", ["x", "fixed"]),
    ],
)
def test_what_an_operator_makes_of_an_input_is_what_is_sent(sent: str, content: list[str]) -> None:
    head = "g (float[n,3] x, float[2,3] fixed) => (float[a,b] y) <float[3,3] weight = {1,2,3,4,5,6,7,8,9}>"
    assert reached(written(f"{head} {{ {sent} y = Call(t) }}")) == {"y": (content, [])}


def test_an_input_with_a_default_can_be_overridden_and_a_bound_one_cannot() -> None:
    cloud = remote(URL, "m").rename({"x": "w"})
    weight = helper.make_tensor_value_info("w", 1, [1, 3])
    model = cloud.to_proto()
    model.graph.input[0].CopyFrom(weight)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 3), np.float32), "w"))
    given_ = oh.Model.from_proto(model)
    assert reached(given_) == {"m": (["w"], [])}
    assert reached(given_.bind(w=np.ones((1, 3), np.float32))) == {"m": ([], [])}


def test_tokens_options_and_headers_that_are_inputs_are_sent() -> None:
    chat = oh.remote.openai_chat(
        "gpt",
        url=URL,
        auth=oh.Input("auth_token"),
        temperature=oh.Input("warmth"),
        headers={"X-Team": oh.Input("team"), "X-Key": oh.Credential("side")},
        extra={"seed": oh.Input("seed", default=3)},
    )
    (outflow,) = oh.egress(chat)
    assert set(outflow.content) == {"auth_token", "warmth", "team", "seed", "prompt"}
    assert (outflow.credential, outflow.header_credentials, outflow.max_bytes) == (None, ("side",), None)
    assert outflow.decides == ("prompt",)  # a request for each text
    (sent,) = oh.egress(oh.remote.openai_chat("gpt", url=URL, auth=oh.Credential("main")))
    assert (sent.credential, sent.endpoint) == ("main", URL)


def test_a_batch_that_is_cut_and_a_cache_are_decided_by_what_is_sent() -> None:
    assert reached(remote(URL, "m", batch=4)) == {"m": (["x"], ["x"])}
    proto = CLOUD.to_proto()
    proto.graph.node[0].attribute.append(helper.make_attribute("cache", '{"max_bytes": 1000}'))
    assert reached(oh.Model.from_proto(proto)) == {"m": (["x"], ["x"])}


def test_an_optional_input_is_content() -> None:
    specs = [oh.TensorSpec("x", "float32", ("n", 3)), oh.TensorSpec("hint", "float32", ("k",), optional=True)]
    made = oh.remote.triton(URL, "m", inputs=specs, outputs=[oh.TensorSpec("y", "float32", ("n", 3))])
    assert reached(made) == {"m": (["x", "hint"], [])}


def test_whatever_names_a_protocol_in_the_domain_sends() -> None:
    proto = CLOUD.to_proto()
    node = proto.graph.node[0]
    node.op_type = "Mirror"
    node.input.append("only passed on")
    proto.graph.input.append(helper.make_tensor_value_info("only passed on", 1, [1]))
    assert reached(oh.Model.from_proto(proto)) == {"m": (["x"], [])}


def test_an_audit_sends_what_its_call_takes_and_not_what_it_compares() -> None:
    told = reached(oh.cascade(LOCAL, CLOUD, JUDGE, audit=0.5))
    assert len(told) == 2
    assert len({(tuple(content), tuple(decides)) for content, decides in told.values()}) == 1


def test_calls_of_functions_that_nobody_calls_send_nothing() -> None:
    model = written(
        """g (float[n,3] x) => (float[n,3] y) { y = Neg(x) }
        <domain: "f", opset_import: ["": 21, "ai.onnxhybrid": 1]> Ask (p) => (r) { r = Call(p) }"""
    )
    (outflow,) = oh.egress(model)
    assert (outflow.content, outflow.decides, outflow.max_bytes) == ((), (), 0)


def test_an_operator_that_nobody_knows_may_do_anything_with_its_graphs() -> None:
    model = written(
        """g (float[n,3] x, float[n,3] w, float[n,3] u) => (float[n,3] y) {
            y = f.Somehow (x) <body = b () => (z) { z = Call(w) }>
        }"""
    )
    (outflow,) = oh.egress(model)
    assert set(outflow.content) == {"w"}
    assert set(outflow.decides) == {"x", "w"}


def test_loops_in_loops_beyond_measure_are_told_of_every_input() -> None:
    states, text = "abcdef", "on = Identity(go0) sent = Call(a0)"
    for level in range(24):
        own, outer = ([f"{state}{number}" for state in states] for number in (level, level + 1))
        takes = ", ".join(f"float[n,3] {name}" for name in own)
        body = f"b (int64 i{level}, bool go{level}, {takes}) => (on, {', '.join(own[1:] + own[:1])}) {{ {text} }}"
        turn = f"Loop (times, go{level + 1}, {', '.join(outer)}) <body = {body}>"
        text = f"on = Not(go{level + 1}) {', '.join(f'r{name}' for name in outer)} = {turn}"
    takes = ", ".join(f"float[n,3] {name}" for name in outer)
    head = f"g (int64 times, bool go24, {takes}, float[3] unused) => (bool on, float[n,3] r{outer[0]})"
    (found,) = reached(written(f"{head} {{ {text} }}")).values()
    assert set(found[0]) == set(found[1]) == {"times", "go24", "unused", *outer}


def test_old_operators_count_as_what_a_session_makes_of_them() -> None:
    inputs = [AUTH, ("chat", onnx.TensorProto.STRING, [1])]
    answer = [("text", onnx.TensorProto.STRING, [1])]
    proto = old_model("AzureTextToText", inputs, answer, model_uri=f"{URL}/chat", model_name="d")
    (outflow,) = oh.egress(oh.Model.from_proto(proto))
    assert outflow.endpoint == f"{URL}/chat"
    assert outflow.content == ("auth_token", "chat")


def test_an_overlapped_model_sends_what_its_sequential_form_sends(server: RawServer) -> None:
    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    @given(model=graphs(server.url))
    def each(model: oh.Model) -> None:
        found = [{(o.node, o.content, o.decides) for o in oh.egress(m)} for m in (model, oh.overlap(model))]
        assert {entry[1:] for entry in found[0]} == {entry[1:] for entry in found[1]}

    each()


def test_an_egress_is_data_a_table_and_json(tmp_path: Path) -> None:
    model = oh.cascade(LOCAL, remote(f"{URL}?key=hidden", "m", auth=oh.Credential("gpu")), JUDGE)
    model.save(tmp_path / "m.onnx")
    found = oh.egress(tmp_path / "m.onnx")
    assert found == oh.egress(model)
    assert [outflow.node for outflow in found] == ["remote/m"]
    assert (len(found), found[0].credential, found[0].endpoint) == (1, "gpu", f"{URL}?key=hidden")
    head, _, row = str(found).splitlines()
    assert head.split("  ")[0] == "node"
    assert "x, threshold" in row
    assert "gpu" in row
    assert "hidden" not in row
    assert Egress.from_json(found.to_json()) == found
    assert str(oh.egress(LOCAL)) == "Nothing leaves the device."
    with pytest.raises(dataclasses.FrozenInstanceError):
        found[0].node = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"outflows": 3}', '{"outflows": [{"node": 3}]}', "[" * 100_000, '{"outflows": [{"x": 1}]}']
)
def test_what_is_no_egress_is_refused_with_a_code(text: str) -> None:
    with pytest.raises(oh.Error, match="OH530"):
        Egress.from_json(text)


def test_an_endpoint_by_name_is_told_by_its_name() -> None:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy"]
    made = oh.remote.triton(oh.Endpoint("gpu", default=URL), "m", inputs=specs[:1], outputs=specs[1:])
    (outflow,) = oh.egress(made)
    assert (outflow.endpoint, outflow.endpoint_name, outflow.shown) == (URL, "gpu", f"gpu ({URL})")


def test_a_malformed_remote_is_told_with_a_code() -> None:
    proto = CLOUD.to_proto()
    proto.graph.node[0].attribute.append(helper.make_attribute("on_error", "perhaps"))
    kept = [a for a in proto.graph.node[0].attribute if a.name != "on_error" or a.s == b"perhaps"]
    del proto.graph.node[0].attribute[:]
    proto.graph.node[0].attribute.extend(kept)
    with pytest.raises(oh.ModelError, match="OH301"):
        oh.egress(oh.Model.from_proto(proto))


def test_what_a_file_tells_of_a_call_is_its_egress(tmp_path: Path) -> None:
    model = oh.cascade(LOCAL, CLOUD, JUDGE, speculate=True, rows=True)
    for form in (model, model.rename({"x": "image"}), model.bind(threshold=0.5)):
        form.save(tmp_path / "m.onnx")
        (call,), (outflow,) = json.loads(oh.load(tmp_path / "m.onnx").metadata["onnxhybrid.remotes"]), oh.egress(form)
        told = (call["content"], call["decides"], call["max_bytes"])
        assert told == ([*outflow.content], [*outflow.decides], outflow.max_bytes)
        assert not oh.validate(tmp_path / "m.onnx").errors
