"""`validate` on a file whose metadata tells of other remote calls than its nodes make."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto, NodeProto, helper

import onnxhybrid as oh
from onnxhybrid.model.metadata import annotate
from tests.strategies import dense

HERE = "http://127.0.0.1:1"
HIDDEN = "https://elsewhere.example"


def remote(url: str = HERE, output: str = "y", **options: Any) -> oh.Model:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in ("x", output)]
    return oh.remote.triton(url, "m", inputs=specs[:1], outputs=specs[1:], **options)


def told(model: oh.Model) -> oh.Model:
    """The model with a list of its calls, which compositions have and a remote model alone does not."""
    proto = model.to_proto()
    annotate(proto)
    return oh.Model.from_proto(proto)


def codes(model: oh.Model) -> list[str]:
    return [finding.code for finding in oh.validate(model)]


def hand_edited(model: oh.Model, edit: Callable[[ModelProto], object]) -> list[str]:
    """The messages of OH315 about a model whose graph somebody edited, and not what it says of itself."""
    proto: ModelProto = model.to_proto()
    edit(proto)
    return [finding.message for finding in oh.validate(oh.Model.from_proto(proto)) if finding.code == "OH315"]


def invokes(graph_or_function: Any) -> Iterator[NodeProto]:
    """The remote nodes of a graph or of a function, those in branches included."""
    for each in graph_or_function.node:
        if each.op_type in ("Invoke", "Begin"):
            yield each
        for attribute in each.attribute:
            yield from invokes(attribute.g)


def moved(proto: ModelProto) -> None:
    """Let every remote node call another endpoint."""
    for holder in (proto.graph, *proto.functions):
        for each in invokes(holder):
            for attribute in each.attribute:
                if attribute.name == "endpoint":
                    attribute.s = HIDDEN.encode()


def in_a_function(model: oh.Model) -> oh.Model:
    """The model whose graph is one call of a function that holds what the graph held."""
    proto: ModelProto = model.to_proto()
    taken, given = ([each.name for each in side] for side in (proto.graph.input, proto.graph.output))
    imports = [*proto.opset_import]
    proto.functions.append(helper.make_function("f", "F", taken, given, [*proto.graph.node], imports))
    proto.functions[0].value_info.extend([*proto.graph.output])
    del proto.graph.node[:]
    proto.graph.node.append(helper.make_node("F", taken, given, domain="f"))
    proto.opset_import.append(helper.make_opsetid("f", 1))
    return oh.Model.from_proto(proto)


COMPOSED = {
    "alone": told(remote()),
    "chain": oh.chain(remote(), dense("d", "y", "q", (3, 2))),
    "branch": oh.switch("c", dense("a", "x", "y", (3, 3)), remote()),
    "nested branch": oh.switch(
        "c", oh.switch("d", remote(), dense("a", "x", "y", (3, 3))), dense("b", "x", "y", (3, 3))
    ),
    "begun": oh.parallel(edge=dense("a", "x", "y", (3, 3)), cloud=remote()),
    "function": in_a_function(told(remote())),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_a_hand_edited_endpoint_is_found_wherever_the_node_is(name: str) -> None:
    model = COMPOSED[name]
    assert hand_edited(model, lambda proto: None) == []
    found = hand_edited(model, moved)
    assert f"it says endpoint {HERE!r} of the node" in found[0]
    assert HIDDEN in found[0]
    tree = "onnxhybrid.parts" in model.metadata
    assert [f"calls {HIDDEN!r}, and no part is said to call it" in text for text in found[1:]] == [True] * tree


def test_each_setting_that_the_metadata_tells_otherwise_is_found() -> None:
    def patient(proto: ModelProto) -> None:
        for attribute in proto.graph.node[0].attribute:
            if attribute.name in ("timeout_ms", "retries"):
                attribute.i += 1000

    assert [text.split(" of the node")[0] for text in hand_edited(told(remote(timeout=5.0, retries=1)), patient)] == [
        "it says timeout 5.0",
        "it says retries 1",
    ]


def test_a_call_that_was_added_renamed_or_taken_out_by_hand_is_found() -> None:
    pair = oh.chain(remote(), remote(HERE, "z").rename({"x": "y"}))
    first, second = (call.node for call in pair.remotes)

    def added(proto: ModelProto) -> None:
        proto.graph.node.append(proto.graph.node[1])
        proto.graph.node[2].name, proto.graph.node[2].output[0] = "third", "unread"

    def renamed(proto: ModelProto) -> None:
        proto.graph.node[1].name = "third"

    def removed(proto: ModelProto) -> None:
        proto.graph.node[1].CopyFrom(helper.make_node("Identity", ["y"], ["z"]))
        proto.opset_import.append(helper.make_opsetid("", 17))

    none = f"it tells of a call by the node {second!r}, which makes none"
    third = f"it does not tell that the node 'third' calls {HERE!r}"
    assert hand_edited(pair, added) == [third]
    assert hand_edited(pair, renamed) == [none, third]
    assert hand_edited(pair, removed) == [none]
    assert first != second


@pytest.mark.parametrize("entry", ["", "{", "5", "[5]", '{"node": "m"}', pytest.param("[" * 100_000, id="deep")])
def test_an_entry_that_is_no_list_of_calls_is_found(entry: str) -> None:
    def damage(proto: ModelProto) -> None:
        proto.metadata_props[0].value = entry

    assert hand_edited(told(remote()), damage) == ["it is no JSON list of calls"]


@pytest.mark.parametrize("entry", ["", "{", "5", '{"parts": 5}', '{"parts": [5, {"endpoints": 5, "made of": 5}]}'])
def test_a_tree_of_parts_that_names_no_endpoint_is_found(entry: str) -> None:
    def damage(proto: ModelProto) -> None:
        for each in proto.metadata_props:
            if each.key == "onnxhybrid.parts":
                each.value = entry

    assert len(hand_edited(COMPOSED["chain"], damage)) == 1


def test_metadata_of_another_release_that_says_more_or_less_is_no_lie() -> None:
    def other(proto: ModelProto) -> None:
        (call,) = json.loads(proto.metadata_props[0].value)
        del call["retries"]
        proto.metadata_props[0].value = json.dumps([{**call, "of tomorrow": 1}])

    assert hand_edited(told(remote()), other) == []


def test_saving_writes_the_list_of_calls_anew(tmp_path: Path) -> None:
    proto = told(remote()).to_proto()
    moved(proto)
    oh.Model.from_proto(proto).save(tmp_path / "m.onnx")
    assert codes(oh.load(tmp_path / "m.onnx")) == []


@pytest.mark.parametrize("name", ["chain", "nested branch", "begun"])
def test_editing_a_composition_makes_no_lie_of_what_it_says(name: str) -> None:
    model = COMPOSED[name]
    for edited in (
        model.rename({model.inputs[0].name: "other"}),
        model.prefix("p/"),
        model.select([model.outputs[0].name]),
        oh.parallel(a=model.prefix("p/"), b=dense("e", "z", "end", (3, 2))),
    ):
        assert "OH315" not in codes(edited)
