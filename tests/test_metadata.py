"""What a composition says of itself in its metadata: docs/metadata.md."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import onnxhybrid as oh
from tests.strategies import dense


def _cloud(url: str | oh.Endpoint = "https://gpu.example", **options: Any) -> oh.Model:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy"]
    return oh.remote.triton(url, "yolo", inputs=specs[:1], outputs=specs[1:], **options)


def _calls(model: oh.Model) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads(model.metadata["onnxhybrid.remotes"])
    return calls


def test_each_call_that_leaves_the_device_is_told_with_its_policy_and_no_secret() -> None:
    cloud = _cloud(auth=oh.Credential("gpu"), timeout=2.5, connect_timeout=1.0, retries=0)
    composed = oh.switch("c", dense("a", "x", "y", (3, 3)), cloud)
    (node,) = (spec.node for spec in composed.remotes)
    assert _calls(composed) == [
        {
            "node": node,
            "protocol": "triton.http",
            "endpoint": "https://gpu.example",
            "model": "yolo",
            "version": "",
            "sends": ["x"],
            "receives": ["y"],
            "auth": "credential:gpu",
            "timeout": 2.5,
            "connect_timeout": 1.0,
            "retries": 0,
            "on_error": "raise",
        }
    ]


def test_a_file_tells_which_inputs_reach_a_call(tmp_path: Path) -> None:
    oh.switch("c", dense("a", "x", "y", (3, 3)), _cloud()).save(tmp_path / "m.onnx")
    (call,) = _calls(oh.load(tmp_path / "m.onnx"))
    assert (call["content"], call["decides"], call["max_bytes"]) == (["x"], ["c"], None)
    assert not [finding for finding in oh.validate(tmp_path / "m.onnx") if finding.code == "OH315"]


def test_what_is_told_of_calls_stays_true_when_the_model_is_edited(tmp_path: Path) -> None:
    both = oh.parallel(one=_cloud("https://a.example"), two=_cloud("https://b.example"))
    prefixed = both.prefix("p/")
    assert [call["node"] for call in _calls(prefixed)] == [spec.node for spec in prefixed.remotes]
    one = both.select(["two/y"])
    assert [call["endpoint"] for call in _calls(one)] == ["https://b.example"]
    one.save(tmp_path / "m.onnx")
    assert [call["endpoint"] for call in _calls(oh.load(tmp_path / "m.onnx"))] == ["https://b.example"]


def _endpoints(tree: dict[str, Any], path: str = "") -> dict[str, list[str]]:
    """Labels of a part -> the endpoints that it is said to call, for those that call any."""
    found = {}
    for part in tree["parts"]:
        own = f"{path}{part['label']}"
        if "endpoints" in part:
            found[own] = part["endpoints"]
        found |= _endpoints(part.get("made of", {"parts": []}), f"{own}/")
    return found


def _parts(model: oh.Model) -> dict[str, list[str]]:
    return _endpoints(json.loads(model.metadata["onnxhybrid.parts"]))


def test_parts_are_told_to_call_what_their_nodes_call_when_the_model_is_edited(tmp_path: Path) -> None:
    both = oh.parallel(one=_cloud("https://a.example"), two=_cloud("https://b.example"))
    assert _parts(both) == {"one": ["https://a.example"], "two": ["https://b.example"]}
    assert _parts(both.select(["two/y"])) == {"two": ["https://b.example"]}
    nested = oh.parallel(left=both, right=_cloud("https://a.example"))
    whole = {"left": ["https://a.example", "https://b.example"], "right": ["https://a.example"]}
    inner = {"left/one": ["https://a.example"], "left/two": ["https://b.example"]}
    assert _parts(nested) == {**whole, **inner}
    kept = nested.select(["left/two/y", "right/y"])
    one = {"left": ["https://b.example"], "left/two": ["https://b.example"], "right": ["https://a.example"]}
    for form in (kept, kept.prefix("p/"), kept.rename({"x": "image"})):
        assert _parts(form) == one
        form.save(tmp_path / "m.onnx")
        loaded = oh.load(tmp_path / "m.onnx")
        assert _parts(loaded) == one
        assert not [finding for finding in oh.validate(loaded) if finding.code == "OH315"]
    moved = kept.retarget({"https://a.example": "https://c.example"})
    assert _parts(moved) == {**one, "right": ["https://c.example"]}
    assert _parts(nested.select(["left/one/y"]).select(["left/one/y"])) == {
        "left": ["https://a.example"],
        "left/one": ["https://a.example"],
    }


def test_a_node_that_is_called_like_its_part_is_of_it() -> None:
    """A remote in a chain keeps its name, where that is free: its part's label is its own name."""
    first = _cloud("https://a.example", name="far").rename({"y": "z"})
    chained = oh.chain(first, _cloud("https://b.example", name="near").rename({"x": "z"}))
    for form, path in ((chained, ""), (oh.parallel(both=chained), "both/")):
        told = _parts(form)
        assert told[f"{path}far"] == ["https://a.example"]
        assert told[f"{path}near"] == ["https://b.example"]


def test_halves_of_a_split_tell_of_their_own_calls_alone() -> None:
    first = _cloud("https://a.example").rename({"y": "z"})
    halves = oh.split(oh.chain(first, _cloud("https://b.example").rename({"x": "z"})), at=["z"])
    urls = [["https://a.example"], ["https://b.example"]]
    assert [[call["endpoint"] for call in _calls(half)] for half in halves] == urls
    assert [[url for listed in _parts(half).values() for url in listed] for half in halves] == urls


def test_old_operators_leave_what_is_told_of_parts_as_it_is() -> None:
    text = oh.remote.openai_audio(
        url="https://a.example/v1", auth=oh.Input("auth_token"), response_format="text", name="hear"
    )
    composed = oh.parallel(cloud=text, local=dense("a", "x", "y", (3, 3)))
    assert _parts(oh.legacy.export(composed).prefix("p/")) == {"cloud": ["https://a.example/v1"]}


def test_parts_that_call_an_endpoint_by_name_are_told_so_at_every_depth() -> None:
    named = [_cloud(oh.Endpoint(name, default="https://a.example")) for name in ("first", "second")]
    tree = json.loads(oh.parallel(m=oh.parallel(one=named[0], two=named[1])).metadata["onnxhybrid.parts"])
    assert tree["parts"][0]["endpoint_names"] == ["first", "second"]
    assert [part["endpoint_names"] for part in tree["parts"][0]["made of"]["parts"]] == [["first"], ["second"]]
    less = oh.parallel(one=named[0], two=named[1]).select(["one/y"])
    assert ["endpoint_names" in part for part in json.loads(less.metadata["onnxhybrid.parts"])["parts"]] == [
        True,
        False,
    ]


def test_nodes_that_were_renamed_leave_what_is_told_of_parts_as_it_is() -> None:
    proto = oh.parallel(one=_cloud("https://a.example"), two=_cloud("https://b.example")).to_proto()
    for node in proto.graph.node:
        node.name = f"n{len(node.name)}{node.output[0][:1]}"
    assert _parts(oh.Model.from_proto(proto).prefix("p/")) == {
        "one": ["https://a.example"],
        "two": ["https://b.example"],
    }


def test_a_composition_without_calls_tells_of_none() -> None:
    local = dense("a", "x", "y", (3, 3))
    assert "onnxhybrid.remotes" not in oh.parallel(a=local, b=local).metadata
    assert "onnxhybrid.remotes" not in oh.parallel(a=local, b=_cloud()).select(["a/y"]).metadata


def test_nested_compositions_are_a_tree_of_parts() -> None:
    local = dense("a", "x", "y", (3, 3))
    inner = oh.switch("c", local, _cloud())
    outer = oh.parallel(left=inner, right=local)
    tree = json.loads(outer.metadata["onnxhybrid.parts"])
    assert tree["kind"] == "parallel"
    left, right = tree["parts"]
    assert (left["label"], left["role"], left["endpoints"]) == ("left", "member", ["https://gpu.example"])
    assert left["made of"] == json.loads(inner.metadata["onnxhybrid.parts"])
    assert [part["role"] for part in left["made of"]["parts"]] == ["then", "else"]
    assert "made of" not in right
    assert "endpoints" not in right


def test_compositions_nested_a_hundred_times_stay_told_to_some_depth() -> None:
    local = dense("a", "x", "y", (3, 3))
    deep = functools.reduce(lambda model, _: oh.parallel(m=model.select([model.outputs[0].name])), range(100), local)
    tree = json.loads(deep.metadata["onnxhybrid.parts"])
    depth = 0
    while "made of" in tree["parts"][0]:
        tree, depth = tree["parts"][0]["made of"], depth + 1
    assert depth == 64


@pytest.mark.parametrize(
    "text",
    ['{"parts": 3}', '{"parts": [3, {"label": 4, "endpoints": [5]}]}', '{"parts": [], "x": "\\ud800"}', "[" * 999],
)
def test_an_entry_that_is_not_ours_is_no_hindrance(text: str) -> None:
    foreign = dense("a", "x", "y", (3, 3)).with_metadata({"onnxhybrid.parts": text, "onnxhybrid.remotes": text})
    composed = oh.chain(foreign, dense("b", "y", "z", (3, 3)))
    assert [part["graph"] for part in json.loads(composed.metadata["onnxhybrid.parts"])["parts"]] == ["a", "b"]
    assert "onnxhybrid.remotes" not in composed.metadata


def test_metadata_is_the_same_at_every_call() -> None:
    made = [oh.switch("c", dense("a", "x", "y", (3, 3)), _cloud()).to_proto() for _ in range(2)]
    assert made[0].SerializeToString() == made[1].SerializeToString()
    onnx.checker.check_model(oh.parallel(a=dense("a", "x", "y", (3, 3))).to_proto())
