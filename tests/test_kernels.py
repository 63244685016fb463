"""What ONNX Runtime has no kernel for is neither composed in silence nor called valid. The judge is a session of it."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import onnxhybrid as oh
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
    except ort.capi.onnxruntime_pybind11_state.NotImplemented:
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
    release = tuple(map(int, ort.__version__.split(".")[:2]))
    here, told = kernels.installed(), kernels.of_release((release[0], release[1]))
    assert here is not None
    newest = table.newest()
    if release in newest:
        rows = {operator: set(map(str, found)) for operator, found in here.kernels.items()}
def test_no_model_that_runs_is_said_to_lack_a_kernel() -> None:
    cases = itertools.islice(backend.cases(), 3, None, 12)
    run_here = [case for case in cases if case.expected() is not None]
    assert len(run_here) > 80
    for case in run_here:
        assert "OH128" not in {finding.code for finding in oh.validate(oh.Model.from_proto(case.proto))}, case.name
