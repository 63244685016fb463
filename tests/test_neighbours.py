"""What a model of a stranger may read of the files around it, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh

SPEC = oh.TensorSpec("x", "uint8", ("n",))


def reading(
    folder: Path, location: str, *, size: int, way: list[onnx.NodeProto] | None = None, tensor: str = "w"
) -> Path:
    """A model that reads a neighbour's bytes and, by way of some nodes, sends the tensor `s`."""
    remote = oh.remote.triton("http://127.0.0.1:9", "m", inputs=[SPEC], outputs=[oh.TensorSpec("y", "uint8", ("n",))])
    proto = remote.to_proto()
    weight = TensorProto(name=tensor, data_type=TensorProto.UINT8, dims=[size], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    proto.graph.initializer.append(weight)
    call = proto.graph.node[0]
    call.input[0] = "s"
    nodes = way if way is not None else [helper.make_node("Identity", [tensor], ["s"])]
    kept = [*nodes, call]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del proto.graph.node[:]
    proto.graph.node.extend(copies)
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def codes(path: Path) -> set[str]:
    return {finding.code for finding in oh.validate(path).findings} & {"OH320", "OH321", "OH107"}


@pytest.mark.parametrize("location", [".ssh/id_rsa", "a/../.ssh/id_rsa", ".netrc", "./.env", "sub/.aws/credentials"])
def test_a_hidden_file_is_never_read(tmp_path: Path, location: str) -> None:
    (tmp_path / location).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "a").mkdir(exist_ok=True)
    (tmp_path / location).write_bytes(b"k" * 64)
    path = reading(tmp_path, location, size=64)
    for way in (oh.load, oh.Session):
        with pytest.raises(oh.ModelError, match=r"OH107.*hidden"):
            way(path)
    assert codes(path) == {"OH107"}


@pytest.mark.parametrize("size", [64, 4096])
@pytest.mark.parametrize(
    "way",
    [
        None,
        [helper.make_node("Add", ["x", "w"], ["s"])],
        [helper.make_node("Identity", ["w"], ["a"]), helper.make_node("BitwiseXor", ["x", "a"], ["s"])],
    ],
    ids=["as it is", "added", "mixed"],
)
def test_what_is_made_of_a_file_of_another_name_and_sent_is_a_finding(
    tmp_path: Path, size: int, way: list[onnx.NodeProto] | None
) -> None:
    (tmp_path / "notes.txt").write_bytes(b"k" * size)
    assert codes(reading(tmp_path, "notes.txt", size=size, way=way)) == {"OH320", "OH321"}


@pytest.mark.parametrize("location", ["model.onnx.data", "model_weights.bin", "model.onnx_data_1", "w"])
def test_data_named_after_the_model_or_its_tensor_is_a_finding_only_where_it_is_sent_as_it_is(
    tmp_path: Path, location: str
) -> None:
    (tmp_path / location).write_bytes(b"k" * 4096)
    assert codes(reading(tmp_path, location, size=4096)) == {"OH321"}
    mixed = [helper.make_node("Add", ["x", "w"], ["s"])]
    assert codes(reading(tmp_path, location, size=4096, way=mixed)) == set()


def test_a_file_that_is_read_inside_of_a_branch_and_sent_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"k" * 4096)
    value = helper.make_tensor_value_info("t", TensorProto.UINT8, None)
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["t"])], "b", [], [value])
    truth = helper.make_tensor("truth", TensorProto.BOOL, [], [True])
    way = [
        helper.make_node("Constant", [], ["c"], value=truth),
        helper.make_node("If", ["c"], ["s"], then_branch=branch, else_branch=branch),
    ]
    assert codes(reading(tmp_path, "notes.txt", size=4096, way=way)) == {"OH320", "OH321"}


def test_what_is_saved_with_its_data_beside_it_has_no_finding(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"k" * 4096)
    way = [helper.make_node("Add", ["x", "w"], ["s"])]
    oh.load(reading(tmp_path, "notes.txt", size=4096, way=way)).save(tmp_path / "again.onnx", external_data=True)
    assert codes(tmp_path / "again.onnx") == set()


def denied(path: Path, **settings: Any) -> bool:
    """Whether no session is made of the file, nor of the Model in it."""

    def refuses(model: oh.Model | Path) -> bool:
        try:
            oh.Session(model, **settings)
        except oh.PolicyDenied as problem:
            assert problem.code == "OH580"
            return True
        return False

    first, second = refuses(path), refuses(oh.load(path))
    assert first == second
    return first


ZEROS = helper.make_node("Constant", [], ["zeros"], value=helper.make_tensor("z", TensorProto.UINT8, [1], [0]))
WAYS = {
    "as it is": None,
    "with an input": [helper.make_node("Add", ["x", "w"], ["s"])],
    "with a constant": [ZEROS, helper.make_node("Add", ["w", "zeros"], ["s"])],
    "with what becomes of constants": [
        ZEROS,
        helper.make_node("BitwiseNot", ["zeros"], ["ones"]),
        helper.make_node("BitwiseXor", ["w", "ones"], ["s"]),
    ],
}
STRICT = oh.Policy.strict([])


@pytest.mark.parametrize("size", [64, 4096])
@pytest.mark.parametrize("way", WAYS)
def test_no_session_sends_a_file_that_is_not_the_models(tmp_path: Path, way: str, size: int) -> None:
    (tmp_path / "notes.txt").write_bytes(b"k" * size)
    path = reading(tmp_path, "notes.txt", size=size, way=WAYS[way])
    assert denied(path)
    assert denied(path, policy=STRICT)
    assert denied(path, policy=oh.Policy(send_external_data=False))
    assert not denied(path, policy=oh.Policy(send_external_data=True))
    assert not denied(path, policy=oh.Policy.strict([], send_external_data=True))


@pytest.mark.parametrize("way", WAYS)
def test_a_tensor_that_is_named_after_a_file_makes_it_the_models_only_if_it_is_the_whole(
    tmp_path: Path, way: str
) -> None:
    (tmp_path / "notes.txt").write_bytes(b"k" * 4096)
    nodes = WAYS[way] or [helper.make_node("Identity", ["w"], ["s"])]
    renamed = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for node in renamed:
        node.input[:] = ["notes.txt" if name == "w" else name for name in node.input]
    part = reading(tmp_path, "notes.txt", size=4095, way=renamed, tensor="notes.txt")
    assert "OH320" in codes(part)
    assert denied(part)
    whole = reading(tmp_path, "notes.txt", size=4096, way=renamed, tensor="notes.txt")
    assert "OH320" not in codes(whole)
    assert not denied(whole)


@pytest.mark.parametrize("way", WAYS)
def test_a_strict_policy_sends_nothing_of_a_models_own_file_as_it_is(tmp_path: Path, way: str) -> None:
    (tmp_path / "model.onnx.data").write_bytes(b"k" * 4096)
    path = reading(tmp_path, "model.onnx.data", size=4096, way=WAYS[way])
    assert not denied(path)
    assert denied(path, policy=STRICT) == (way != "with an input")
    assert not denied(path, policy=oh.Policy.strict([], send_external_data=True))


def test_a_setting_that_is_neither_is_refused() -> None:
    with pytest.raises(oh.Error, match=r"OH530.*send_external_data"):
        oh.Policy(send_external_data="yes")  # type: ignore[arg-type]
