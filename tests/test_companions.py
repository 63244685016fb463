"""Files that nodes name go along with the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.runtime.artifact import Artifact

CONTEXT = b"\1" * 2000


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])


def _node(operator: str = "EPContext", domain: str = "com.microsoft", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["x"], ["y"], domain=domain, **attributes)


def _context(name: str = "ctx.bin", embed_mode: int = 0) -> onnx.NodeProto:
    return _node(embed_mode=embed_mode, ep_cache_context=name, main_context=1, source="QNN")


def _model(node: onnx.NodeProto) -> onnx.ModelProto:
    graph = helper.make_graph([node], "g", [_value("x")], [_value("y")])
    imports = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in {"", "com.microsoft", node.domain}]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def _in_a_branch(node: onnx.NodeProto) -> onnx.ModelProto:
    branches = [
        helper.make_graph([one], "b", [], [_value(one.output[0])])
        for one in (node, helper.make_node("Identity", ["x"], ["z"]))
    ]
    choice = helper.make_node("If", ["c"], ["chosen"], then_branch=branches[0], else_branch=branches[1])
    model = _model(choice)
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    model.graph.output[0].name = "chosen"
    return model


def _in_a_function(node: onnx.NodeProto) -> onnx.ModelProto:
    model = _model(helper.make_node("F", ["x"], ["y"], domain="local"))
    imports = [helper.make_opsetid(node.domain, 1)]
    model.functions.append(helper.make_function("local", "F", ["x"], ["y"], [node], imports))
    return model


def _put(folder: Path, model: onnx.ModelProto, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        place = folder / name.replace("__", "/").replace("_", ".")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def _names(path: Path) -> list[str]:
    """What the nodes of a file say."""
    proto = onnx.load(path, load_external_data=False)
    inner = [node for choice in proto.graph.node for a in choice.attribute if a.HasField("g") for node in a.g.node]
    nodes = [*proto.graph.node, *inner, *(node for function in proto.functions for node in function.node)]
    found = [
        a for node in nodes for a in node.attribute if a.name in ("ep_cache_context", "onnx_model_filename", "file")
    ]
    return [text.decode() for a in found for text in (a.strings or [a.s])]


@pytest.mark.parametrize("place", [_model, _in_a_branch, _in_a_function])
def test_a_compiled_context_goes_along_to_another_folder(tmp_path: Path, place: object) -> None:
    path = _put(tmp_path / "a", place(_context()), ctx_bin=CONTEXT)  # type: ignore[operator]
    (tmp_path / "b").mkdir()
    oh.load(path).save(tmp_path / "b" / "m.onnx")
    assert _names(tmp_path / "b" / "m.onnx") == ["ctx.bin"]
    assert (tmp_path / "b" / "ctx.bin").read_bytes() == CONTEXT


@pytest.mark.parametrize(
    "node",
    [
        _node("Decoder", "com.example", file="ctx.bin"),
        _node("Decoder", "com.example", file=["ctx.bin", "none.bin"]),
        _node(embed_mode=1, ep_cache_context=b"\0\1 payload", onnx_model_filename="ctx.bin"),
    ],
    ids=["a text", "texts", "weights of an engine"],
)
def test_a_file_that_another_attribute_names_goes_along(tmp_path: Path, node: onnx.NodeProto) -> None:
    path = _put(tmp_path / "a", _model(node), ctx_bin=CONTEXT)
    (tmp_path / "b").mkdir()
    oh.load(path).save(tmp_path / "b" / "m.onnx")
    assert "ctx.bin" in _names(tmp_path / "b" / "m.onnx")
    assert (tmp_path / "b" / "ctx.bin").read_bytes() == CONTEXT


def test_saving_in_the_same_folder_copies_nothing(tmp_path: Path) -> None:
    path = _put(tmp_path, _model(_context("sub/ctx.bin")), sub__ctx_bin=CONTEXT)
    oh.load(path).save(tmp_path / "n.onnx")
    assert _names(tmp_path / "n.onnx") == ["sub/ctx.bin"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.onnx", "n.onnx", "sub"]


def test_another_file_of_that_name_is_stepped_around(tmp_path: Path) -> None:
    path = _put(tmp_path / "a", _model(_context()), ctx_bin=CONTEXT)
    _put(tmp_path / "b", _model(_context()), ctx_bin=b"other")
    oh.load(path).save(tmp_path / "b" / "n.onnx")
    (name,) = _names(tmp_path / "b" / "n.onnx")
    assert (tmp_path / "b" / name).read_bytes() == CONTEXT
    assert (tmp_path / "b" / "ctx.bin").read_bytes() == b"other"


def test_the_contexts_of_two_parts_stay_apart(tmp_path: Path) -> None:
    one, other = (
        oh.load(_put(tmp_path / name, _model(_context()), ctx_bin=name.encode() * 900)) for name in ("a", "b")
    )
    (tmp_path / "c").mkdir()
    composed = oh.parallel(a=one, b=other.prefix("q/"))
    composed.save(tmp_path / "c" / "m.onnx")
    contents = [(tmp_path / "c" / name).read_bytes() for name in _names(tmp_path / "c" / "m.onnx")]
    assert sorted(contents) == [b"a" * 900, b"b" * 900]
    chosen = composed.select(["a/y"])
    (tmp_path / "d").mkdir()
    chosen.save(tmp_path / "d" / "m.onnx")
    assert sorted(entry.name for entry in (tmp_path / "d").iterdir()) == ["ctx.bin", "m.onnx"]


def test_a_context_called_like_the_model_does_not_take_its_place(tmp_path: Path) -> None:
    path = _put(tmp_path / "a", _model(_context("n.onnx")))
    (tmp_path / "a" / "n.onnx").write_bytes(CONTEXT)
    (tmp_path / "b").mkdir()
    oh.load(path).save(tmp_path / "b" / "n.onnx")
    (name,) = _names(tmp_path / "b" / "n.onnx")
    assert (tmp_path / "b" / name).read_bytes() == CONTEXT


def test_a_context_that_was_nowhere_is_told_when_saving_and_not_before(tmp_path: Path) -> None:
    model = oh.load(_put(tmp_path / "a", _model(_context())))
    (tmp_path / "b").mkdir()
    for missing in (model, oh.Model.from_proto(_model(_context()))):
        with pytest.raises(oh.ModelError, match=r"\[OH107\] .*'ctx\.bin'"):
            missing.save(tmp_path / "b" / "m.onnx")
    assert not list((tmp_path / "b").iterdir())
    (tmp_path / "b" / "ctx.bin").write_bytes(CONTEXT)
    model.save(tmp_path / "b" / "m.onnx")
    assert _names(tmp_path / "b" / "m.onnx") == ["ctx.bin"]


def test_a_context_that_changed_after_loading_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    model = oh.load(_put(tmp_path / "a", _model(_context()), ctx_bin=CONTEXT))
    (tmp_path / "a" / "ctx.bin").write_bytes(b"new")
    (tmp_path / "b").mkdir()
    with pytest.raises(oh.ModelError, match="OH107"):
        model.save(tmp_path / "b" / "m.onnx")
    assert not list((tmp_path / "b").iterdir())


def test_a_payload_in_the_node_is_no_name(tmp_path: Path) -> None:
    path = _put(tmp_path / "a", _model(_context("ctx.bin", embed_mode=1)), ctx_bin=CONTEXT)
    (tmp_path / "b").mkdir()
    oh.load(path).save(tmp_path / "b" / "m.onnx")
    assert [entry.name for entry in (tmp_path / "b").iterdir()] == ["m.onnx"]


def test_hidden_files_and_those_of_other_folders_stay_where_they_are(tmp_path: Path) -> None:
    node = _node("Decoder", "com.example", file=[".secret.txt", ".ssh/id.key", "../out.bin", "Relu"])
    path = _put(tmp_path / "a", _model(node), _secret_txt=b"1", _ssh__id_key=b"2", Relu=b"3")
    (tmp_path / "out.bin").write_bytes(b"4")
    (tmp_path / "b").mkdir()
    oh.load(path).save(tmp_path / "b" / "m.onnx")
    assert [entry.name for entry in (tmp_path / "b").iterdir()] == ["m.onnx"]
    assert _names(tmp_path / "b" / "m.onnx") == [".secret.txt", ".ssh/id.key", "../out.bin", "Relu"]


def test_a_proto_and_a_session_get_the_names_that_they_can_use(tmp_path: Path) -> None:
    path = _put(tmp_path / "a", _model(_context("sub/ctx.bin")), sub__ctx_bin=CONTEXT)
    model = oh.load(path).prefix("p/")
    assert onnx.helper.get_node_attr_value(model.to_proto().graph.node[0], "ep_cache_context") == b"sub/ctx.bin"
    artifact = Artifact.mapped(model)
    given = helper.get_node_attr_value(onnx.ModelProto.FromString(artifact.graph).graph.node[0], "ep_cache_context")
    assert artifact.context is not None
    assert (artifact.context / given.decode()).read_bytes() == CONTEXT
