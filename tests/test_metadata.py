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


def _cloud(url: str = "https://gpu.example", **options: Any) -> oh.Model:
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


def test_what_is_told_of_calls_stays_true_when_the_model_is_edited(tmp_path: Path) -> None:
    both = oh.parallel(one=_cloud("https://a.example"), two=_cloud("https://b.example"))
    prefixed = both.prefix("p/")
    assert [call["node"] for call in _calls(prefixed)] == [spec.node for spec in prefixed.remotes]
    one = both.select(["two/y"])
    assert [call["endpoint"] for call in _calls(one)] == ["https://b.example"]
    one.save(tmp_path / "m.onnx")
    assert [call["endpoint"] for call in _calls(oh.load(tmp_path / "m.onnx"))] == ["https://b.example"]


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
