"""Files made to hurt: each call ends soon, in bounded memory, and with a code where it fails."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper

import onnxhybrid as oh

FLOAT = TensorProto.FLOAT


def model_of(nodes: list[onnx.NodeProto], opset: int = 17, doc: str = "") -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, FLOAT, None) for name in "xy"]
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    graph = helper.make_graph(nodes, "g", [ends[0], condition], ends[1:], doc_string=doc)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def odd(operator: str, attribute: AttributeProto | None, **attributes: Any) -> onnx.NodeProto:
    node = helper.make_node(operator, ["x"], ["y"], **attributes)
    if attribute is not None:
        node.attribute.append(attribute)
    return node


ODD = {
    "a float for a list": (2, odd("Split", None, split=5.0)),
    "a text for a list": (1, odd("Reshape", AttributeProto(name="shape", type=AttributeProto.STRING, s=b"x"))),
    "a number for a list": (
        1,
        odd("Slice", AttributeProto(name="ends", type=AttributeProto.INT, i=0), starts=[0]),
    ),
    "two values": (1, odd("Softmax", AttributeProto(name="axis", type=AttributeProto.INT, i=1, ints=[1]))),
    "nothing": (1, odd("Slice", None, starts=[0])),
    "no element type": (9, odd("EyeLike", None, dtype=-(1 << 63))),
    "no equation": (12, odd("Einsum", None, equation="[")),
    "too few inputs": (9, helper.make_node("Upsample", ["x"], ["y"])),
}


@pytest.mark.parametrize("case", ODD)
def test_a_node_that_says_what_its_operator_does_not_take_is_a_finding_and_has_no_type(case: str) -> None:
    opset, node = ODD[case]
    model = oh.Model.from_proto(model_of([node], opset))
    assert [finding.code for finding in oh.validate(model).errors][:1] in (["OH130"], ["OH124"])
    assert {spec.name: spec.dtype for spec in model.tensors()}["y"] == "float32"  # as it is declared


@pytest.mark.parametrize("case", ODD)
def test_a_node_that_the_converter_cannot_look_at_is_an_error_and_no_crash(case: str) -> None:
    opset, node = ODD[case]
    new = oh.Model.from_proto(model_of([helper.make_node("Relu", ["x"], ["y"])], 21))
    with pytest.raises(oh.ModelError, match="OH130"):
        oh.parallel(a=oh.Model.from_proto(model_of([node], opset)), b=new)


def bomb(calls: int, levels: int, *, circle: bool = False) -> onnx.ModelProto:
    """Functions, each of which calls the next one several times."""
    proto = model_of([helper.make_node("F0", ["x"], ["y"], domain="f")])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    for level in range(levels):
        inner = f"F{(level + 1) % levels if circle else level + 1}"
        names = ["x", *(f"t{call}" for call in range(calls - 1)), "y"]
        last = level + 1 == levels and not circle
        nodes = [
            helper.make_node("Relu" if last else inner, names[call : call + 1], names[call + 1 : call + 2])
            for call in range(calls)
        ]
        for node in nodes:
            node.domain = "" if last else "f"
        proto.functions.append(helper.make_function("f", f"F{level}", ["x"], ["y"], nodes, imports))
    proto.opset_import.append(helper.make_opsetid("f", 1))
    return proto


@pytest.mark.parametrize(
    ("calls", "levels", "circle"), [(10, 10, False), (2, 64, False), (1, 200, False), (1, 1, True), (1, 3, True)]
)
def test_functions_that_unfold_without_bounds_are_refused_when_they_are_loaded(
    tmp_path: Path, calls: int, levels: int, circle: bool
) -> None:
    proto = bomb(calls, levels, circle=circle)
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    ways: list[Callable[[], object]] = [
        lambda: oh.load(path),
        lambda: oh.Session(path),
        lambda: oh.Model.from_proto(proto),
    ]
    for way in ways:
        with pytest.raises(oh.ModelError, match="OH131"):
            way()
    assert [finding.code for finding in oh.validate(path).errors] == ["OH131"]


def test_functions_that_unfold_to_what_a_machine_holds_are_taken() -> None:
    assert len(oh.Model.from_proto(bomb(10, 3)).tensors()) == 3


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("text", ["eyJ", "eyJ-", "sk-", "Bearer ", "eyJaaaaaaaaaaa.", "Bearer" + " " * 50])
def test_a_long_text_is_looked_through_for_secrets_once(tmp_path: Path, text: str) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    long = oh.Model.from_proto(model_of([relu], doc=text * (2_000_000 // len(text))))
    assert seconds(lambda: oh.validate(long)) < 10
    with contextlib.suppress(oh.ValidationError):  # some of them do look like secrets
        assert seconds(lambda: long.rename({"x": "z"}).save(tmp_path / "m.onnx")) < 10


def test_thousands_of_branches_are_checked_in_seconds() -> None:
    nodes, before = [], "x"
    for number in range(3000):
        branches = [
            helper.make_graph(
                [helper.make_node("Identity", [before], [f"{side}{number}"])],
                side,
                [],
                [helper.make_tensor_value_info(f"{side}{number}", FLOAT, None)],
            )
            for side in ("then", "else")
        ]
        node = helper.make_node("If", ["c"], [f"o{number}"], then_branch=branches[0], else_branch=branches[1])
        nodes.append(node)
        before = f"o{number}"
    model = oh.Model.from_proto(model_of([*nodes, helper.make_node("Identity", [before], ["y"])]))
    assert seconds(lambda: oh.validate(model)) < 20
    assert seconds(model.tensors) < 20


def shared(folder: Path, operator: str, offset: int, step: int) -> Path:
    """A model of few bytes, whose 40 nodes take 64 MiB each from one sparse file."""
    size, count = 64 << 20, 40
    with (folder / "w.bin").open("wb") as file:
        file.truncate(size + 4096)
    nodes = []
    for number in range(count):
        weight = TensorProto(name=f"w{number}", data_type=FLOAT, dims=[size // 4], data_location=TensorProto.EXTERNAL)
        for key, value in (("location", "w.bin"), ("offset", offset + step * number), ("length", size)):
            weight.external_data.add(key=key, value=str(value))
        nodes.append(helper.make_node(operator, [], [f"c{number}"], value=weight))
        nodes[-1].input.extend(["x"] if operator != "Constant" else [])
    nodes.append(helper.make_node("Sum", ["x", *(f"c{number}" for number in range(count))], ["y"]))
    path = folder / "m.onnx"
    path.write_bytes(model_of(nodes).SerializeToString())
    return path


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("operator", ["Constant", "ConstantOfShape"])
@pytest.mark.parametrize(("offset", "step"), [(0, 0), (1, 0), (0, 4)])
def test_weights_that_many_tensors_share_fill_no_memory(tmp_path: Path, operator: str, offset: int, step: int) -> None:
    path = shared(tmp_path, operator, offset, step)
    program = f"""
        import re, onnxhybrid as oh
        from pathlib import Path
        path, out = {str(path)!r}, {str(tmp_path / "out.onnx")!r}
        for work in (
            lambda: oh.load(path).save(out), lambda: oh.load(path).to_proto(), lambda: oh.Session(path),
            lambda: oh.Session(oh.load(path)), lambda: oh.load(path).save(out, external_data=False),
        ):
            try:
                work()
            except oh.Error:
                pass
        print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 600_000, f"{done.stdout} kB for weights of 64 MiB"
