"""What ONNX Runtime has no kernel for is neither composed in silence nor called valid. The judge is a session of it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import onnxhybrid as oh
from onnxhybrid.validation import kernels
from onnxhybrid.validation.target import SUPPORT
from tests.corpus import backend
from tests.corpus.case import run

X = np.random.default_rng(0).random((1, 1, 4, 4), np.float32)
BODIES = {
    "Bernoulli": "y = Bernoulli <seed = 1.0> (x)",
    "GlobalLpPool": "y = GlobalLpPool (x)",
    "MaxRoiPool": "r = Constant <value = float[1,5] {0,0,0,2,2}> () y = MaxRoiPool <pooled_shape = [2, 2]> (x, r)",
    "Multinomial": "f = Flatten (x) i = Multinomial <sample_size = 3, seed = 1.0> (f) y = Cast <to = 1> (i)",
    "RandomNormal": "y = RandomNormal <shape = [2, 2], seed = 1.0> ()",
    "RandomNormalLike": "y = RandomNormalLike <seed = 1.0> (x)",
    "RandomUniform": "y = RandomUniform <shape = [2, 2], seed = 1.0> ()",
    "RandomUniformLike": "y = RandomUniformLike <seed = 1.0> (x)",
    "RoiAlign": "r = Constant <value = float[1,4] {0,0,2,2}> () i = Constant <value = int64[1] {0}> () "
    "y = RoiAlign (x, r, i)",
}


def model(body: str, opset: int) -> oh.Model:
    text = f'<ir_version: 8, opset_import: ["": {opset}]> g (float[n,c,h,w] x) => (float y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return oh.Model.from_proto(proto)


def newer(operator: str, opset: int) -> oh.Model:
    """A part that gives `z` of `y` by an operator."""
    text = f'<ir_version: 8, opset_import: ["": {opset}]> newer (float y) => (float z) {{ z = {operator} (y) }}'
    proto = onnx.parser.parse_model(text)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.ClearField("shape")
    return oh.Model.from_proto(proto)


def loads(model: oh.Model) -> bool:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.to_proto().SerializeToString(), options)
    except Exception:  # noqa: BLE001  # the classes of onnxruntime's errors have no base of their own
        return False
    return True


@pytest.mark.parametrize("operator", BODIES)
@pytest.mark.parametrize("opset", [16, 21, 22, 24])
def test_validate_finds_what_a_session_has_no_kernel_for(operator: str, opset: int) -> None:
    old = model(BODIES[operator], opset)
    found = [finding.code for finding in oh.validate(old)]
    assert found == ([] if loads(old) else ["OH128"])


@pytest.mark.parametrize("operator", BODIES)
def test_a_newer_part_comes_down_to_the_opset_that_has_the_kernel(operator: str) -> None:
    old = model(BODIES[operator], 16)
    composed = oh.chain(old, newer("Relu", 22))
    (expected,) = run(old.to_proto(), {"x": X}).values()
    np.testing.assert_allclose(run(composed.to_proto(), {"x": X})["z"], np.maximum(expected, 0))
    assert not oh.validate(composed).findings


@pytest.mark.parametrize("operator", BODIES)
def test_parts_that_share_no_opset_with_kernels_are_refused_by_name(operator: str) -> None:
    old = model(BODIES[operator], 16)
    chained = newer("Elu", 22)  # another operator since opset 22
    if not loads(model(BODIES[operator], 22)):
        with pytest.raises(oh.ComposeError, match=rf"OH102.*{operator}.*no kernel"):
            oh.chain(old, chained)
    else:
        assert loads(oh.chain(old, chained))


@pytest.mark.parametrize(("release", "found"), [("1.20", []), ("1.23", ["OH128"]), ("1.31", ["OH128"])])
def test_a_release_of_the_runtime_is_asked_by_the_table_of_what_it_lacks(release: str, found: list[str]) -> None:
    pool = model(BODIES["GlobalLpPool"], 21 if release == "1.20" else 22)
    assert [finding.code for finding in oh.validate(pool, target=f"onnxruntime=={release}")] == found


def test_the_table_says_of_the_installed_release_what_that_says_itself() -> None:
    here = kernels.installed()
    assert here is not None
    if here.release not in SUPPORT:
        pytest.skip(f"onnxruntime {ort.__version__} is newer than the table")
    told = kernels.of_release(here.release)
    for operator, rows in here.kernels.items():
        assert set(map(repr_of, rows)) == set(map(repr_of, told.of(*operator))), operator
    assert here.operators.keys() == told.operators.keys()


def repr_of(kernel: kernels.Kernel) -> str:
    return f"{kernel.first} {kernel.last} {sorted((name, sorted(kinds)) for name, kinds in kernel.types.items())}"


def single(operator: str, opset: int, *kinds: int, gives: int | None = None, **attributes: Any) -> oh.Model:
    """A model of one node that reads tensors of these element types."""
    inputs = [onnx.helper.make_tensor_value_info(f"x{n}", kind, ["n"]) for n, kind in enumerate(kinds)]
    given = kinds[0] if gives is None else gives
    node = onnx.helper.make_node(operator, [value.name for value in inputs], ["y"], **attributes)
    graph = onnx.helper.make_graph([node], "g", inputs, [onnx.helper.make_tensor_value_info("y", given, None)])
    imports = [onnx.helper.make_opsetid("", opset)]
    return oh.Model.from_proto(onnx.helper.make_model(graph, opset_imports=imports, ir_version=8))


T = onnx.TensorProto
BY_TYPE = {
    "a type without a kernel": (single("Less", 13, T.UINT8, T.UINT8, gives=T.BOOL), "1.18", False),
    "a type with a kernel": (single("Less", 13, T.FLOAT, T.FLOAT, gives=T.BOOL), "1.18", True),
    "a type that got its kernel later": (single("Less", 13, T.UINT8, T.UINT8, gives=T.BOOL), "1.23", True),
    "half precision, computed in single": (single("Sin", 13, T.FLOAT16), "1.18", True),
    "half precision before Cast knew numbers": (single("Neg", 1, T.FLOAT16), "1.18", False),
    "brain floats": (single("Add", 14, T.BFLOAT16, T.BFLOAT16), "1.23", False),
    "a function of what has kernels": (single("Celu", 12, T.FLOAT), "1.18", True),
    "an operator that nobody computes": (single("ImageDecoder", 20, T.UINT8), "1.32", False),
    "what a kernel refuses to be made with": (single("Cast", 19, T.FLOAT, to=T.FLOAT, saturate=0), "1.32", False),
}


@pytest.mark.parametrize("name", BY_TYPE)
def test_a_release_is_asked_for_the_types_too(name: str) -> None:
    model, release, runs = BY_TYPE[name]
    found = [finding.code for finding in oh.validate(model, target=f"onnxruntime=={release}")]
    assert found == ([] if runs else ["OH128"])


def test_a_function_of_the_model_is_looked_into_for_the_types_of_each_call() -> None:
    text = """
    <ir_version: 8, opset_import: ["": 17, "own": 1]>
    g (float[n] x, uint8[n] z) => (bool[n] y, bool[n] w) { y = own.below (x, x) w = own.below (z, z) }
    <opset_import: ["": 17], domain: "own"> below (a, b) => (c) { c = Less (a, b) }
    """
    model = oh.Model.from_proto(onnx.parser.parse_model(text))
    (finding,) = oh.validate(model, target="onnxruntime==1.18")
    assert (finding.code, finding.where) == ("OH128", "the function 'below'")
    assert "Less 13 with tensor(uint8)" in finding.message
    assert not oh.validate(model, target="onnxruntime==1.23").findings


@pytest.mark.parametrize(
    ("model", "text"),
    {
        "another declared type": (single("Relu", 14, T.FLOAT, gives=T.INT64), "gives tensor(float)"),
        "types that differ": (single("Add", 14, T.FLOAT, T.INT64), "same type parameter"),
        "a type that no version takes": (single("Relu", 14, T.STRING), "which 'X' of Relu 14 is not"),
        "an attribute beyond the rank": (single("Flatten", 13, T.FLOAT, axis=7), "axis"),
    }.values(),
)
def test_a_node_that_no_session_takes_is_found_by_its_types(model: oh.Model, text: str) -> None:
    assert not loads(model)
    assert any(f.code == "OH130" and text in f.message for f in oh.validate(model).errors)


def test_no_model_that_runs_is_said_to_lack_a_kernel() -> None:
    cases = itertools.islice(backend.cases(), 3, None, 12)
    run_here = [case for case in cases if case.expected() is not None]
    assert len(run_here) > 80
    for case in run_here:
        assert "OH128" not in {finding.code for finding in oh.validate(oh.Model.from_proto(case.proto))}, case.name
