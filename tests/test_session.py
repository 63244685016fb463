"""`Session`: what InferenceSession does, with weights where they are and coded errors."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import dense, local_models, of_graph, rows, run


@given(local_models(inputs=("x", "z"), outputs=("y", "u")))
def test_a_session_gives_what_onnx_runtime_gives(model: oh.Model) -> None:
    feeds = {"x": rows(2, 3, 1), "z": rows(2, 3, 2)}
    expected = run(model, feeds)
    session = oh.Session(model)
    for names in (None, [], ["u"], ["u", "y"]):
        for ours, name in zip(session.run(names, feeds), names or expected, strict=True):
            np.testing.assert_array_equal(ours, expected[name])


@pytest.mark.parametrize("external", [True, False])
def test_weights_in_a_file_are_mapped_from_there(tmp_path: Path, external: bool) -> None:
    a, b = dense("a", "x", "y", (64, 64), seed=1), dense("b", "y", "z", (64, 64), seed=2)
    for name, model in (("a.onnx", a), ("b.onnx", b)):
        model.save(tmp_path / name, external_data=external)
    loaded = oh.chain(oh.load(tmp_path / "a.onnx"), oh.load(tmp_path / "b.onnx"))
    expected = run(oh.chain(a, b), {"x": rows(2, 64)})["z"]
    np.testing.assert_array_equal(oh.Session(loaded).run(None, {"x": rows(2, 64)})[0], expected)
    loaded.save(tmp_path / "c.onnx", external_data=external)
    np.testing.assert_array_equal(oh.Session(tmp_path / "c.onnx").run(None, {"x": rows(2, 64)})[0], expected)


def test_a_session_keeps_its_weights_alive() -> None:
    sessions = [oh.Session(dense("m", "x", "y", (200, 200), seed=seed)) for seed in range(5)]
    for seed, session in enumerate(sessions):
        expected = run(dense("m", "x", "y", (200, 200), seed=seed), {"x": rows(1, 200)})["y"]
        np.testing.assert_array_equal(session.run(None, {"x": rows(1, 200)})[0], expected)


FLOAT8 = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]


@pytest.mark.parametrize("name", [*FLOAT8, "bfloat16", "float16", "float64", "int8", "bool", "uint64"])
def test_tensors_of_every_width_pass_in_and_out_and_as_weights(name: str) -> None:
    spec = oh.TensorSpec("x", name, ("n",))
    kind = np.dtype(getattr(ml_dtypes, name, name))
    values = np.array([0, 1, 1, 0] * 300).astype(kind)
    elem = spec.to_value_info().type.tensor_type.elem_type
    weight = helper.make_tensor("w", elem, [1200], values.tobytes(), raw=True)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["w"], ["v"])],
        "g",
        [spec.to_value_info()],
        [helper.make_tensor_value_info(n, elem, [None]) for n in ("y", "v")],
        [weight],
    )
    model = of_graph(graph, opset=19, ir_version=9)
    for session in (oh.Session(model), oh.Session(model, sess_options=onnxruntime.SessionOptions())):
        for output in session.run(None, {"x": values}):
            assert output.dtype == kind
            np.testing.assert_array_equal(output.view(np.uint8), values.view(np.uint8))


def test_strings_beside_bfloat16_are_a_coded_error_that_says_what_to_do() -> None:
    specs = [oh.TensorSpec("x", "bfloat16", (1,)), oh.TensorSpec("s", "str", (1,))]
    values = [spec.to_value_info() for spec in specs]
    outputs = [oh.TensorSpec("y", "bfloat16", (1,)).to_value_info(), oh.TensorSpec("t", "str", (1,)).to_value_info()]
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("x", "y"), ("s", "t"))]
    session = oh.Session(of_graph(helper.make_graph(nodes, "g", values, outputs)))
    with pytest.raises(oh.Error, match=r"OH540.*credential"):
        session.run(None, {"x": np.ones(1, ml_dtypes.bfloat16), "s": np.array(["a"])})


def test_sequences_and_strings_beside_bfloat16_come_in_a_run_of_their_own() -> None:
    takes = [oh.TensorSpec("x", "bfloat16", (1,)).to_value_info(), oh.TensorSpec("s", "str", (1,)).to_value_info()]
    gives = [
        oh.TensorSpec("y", "bfloat16", (1,)).to_value_info(),
        helper.make_tensor_sequence_value_info("several", TensorProto.STRING, None),
    ]
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("SequenceConstruct", ["s"], ["several"])]
    session = oh.Session(of_graph(helper.make_graph(nodes, "g", takes, gives)))
    feeds = {"x": np.ones(1, ml_dtypes.bfloat16), "s": np.array(["a"])}
    ((several,),) = session.run(["several"], feeds)
    assert several.tolist() == ["a"]
    with pytest.raises(oh.Error, match=r"OH540.*run\(\['several'\], feeds\)"):
        session.run(None, feeds)


def test_options_and_providers_are_the_users_own() -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = oh.Session(dense("m", "x", "y", (3, 3)), sess_options=options, providers=["CPUExecutionProvider"])
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert [argument.name for argument in session.get_inputs()] == ["x"]
    assert [argument.name for argument in session.get_outputs()] == ["y"]
    assert session.get_modelmeta().graph_name == "m"
    assert session.stats() == {}


def test_inputs_with_a_default_are_listed_apart_as_in_onnx_runtime() -> None:
    weight = numpy_helper.from_array(np.array([2.0], np.float32), "w")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "w", "y")]
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", values[:2], values[2:], [weight])
    session = oh.Session(of_graph(graph))
    assert [argument.name for argument in session.get_inputs()] == ["x"]
    assert [argument.name for argument in session.get_overridable_initializers()] == ["w"]


@pytest.mark.parametrize("kind", [TensorProto.COMPLEX64, TensorProto.COMPLEX128, TensorProto.UNDEFINED, 99, -1])
def test_a_large_weight_of_a_type_that_onnx_runtime_lacks_is_a_coded_error(tmp_path: Path, kind: int) -> None:
    weight = TensorProto(name="w", data_type=kind, dims=[1000], raw_data=bytes(16000))
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [onnx.ValueInfoProto(name="y")])
    graph.initializer.append(weight)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(proto, tmp_path / "m.onnx")
    for model in (oh.Model.from_proto(proto), oh.load(tmp_path / "m.onnx"), tmp_path / "m.onnx"):
        with pytest.raises(oh.Error, match="OH540"):
            oh.Session(model)


def test_what_onnx_runtime_refuses_is_a_coded_error(tmp_path: Path) -> None:
    session = oh.Session(dense("m", "x", "y", (3, 3)))
    with pytest.raises(oh.Error, match="OH540"):
        session.run(None, None)  # type: ignore[arg-type]
    for feeds in ({}, {"q": rows(1, 3)}, {"x": rows(1, 4)}, {"x": rows(1, 3).astype(np.float64)}):
        with pytest.raises(oh.Error, match="OH540"):
            session.run(None, feeds)
    with pytest.raises(oh.Error, match="OH540"):
        session.run(["nothing"], {"x": rows(1, 3)})
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    unknown = of_graph(helper.make_graph([helper.make_node("Odd", ["x"], ["y"])], "g", values[:1], values[1:]))
    with pytest.raises(oh.Error, match="OH540"):
        oh.Session(unknown)
    with pytest.raises(oh.ModelError, match="OH100"):
        oh.Session(tmp_path / "missing.onnx")


@pytest.mark.parametrize(
    ("names", "feeds", "said"),
    [
        (
            None,
            {"a": rows(1, 3), "b": rows(1, 3).astype(np.float64)},
            r"'b' takes float32, and the array holds float64; give array.astype\('float32'\)",
        ),
        (None, {"a": b"\0\0\0\0", "b": rows(1, 3)}, r"'a' is a bytes; give an array, such as numpy.frombuffer"),
        (None, {"a": np.array([["t"] * 3]), "b": rows(1, 3)}, "'a' takes float32, and the array holds str"),
        (None, {"a": rows(1, 3), "b": rows(1, 3), "c": rows(1, 3)}, "no input 'c'; it takes 'a', 'b'"),
        (["y"], {"a": rows(1, 3), "b": rows(1, 3)}, "no output 'y'; it gives 'u/y', 'v/y'"),
    ],
)
def test_a_misfit_is_named_with_what_the_model_has(names: Any, feeds: Any, said: str) -> None:
    session = oh.Session(oh.parallel(u=dense("u", "a", "y", (3, 3)), v=dense("v", "b", "y", (3, 3))))
    with pytest.raises(oh.Error, match=f"OH540.*{said}"):
        session.run(names, feeds)


@pytest.mark.parametrize(
    "settings",
    [
        {"credentials": {"a": 5}},
        {"credentials": {"a": oh.Secret("t", hosts=["b b"])}},
        {"policy": oh.Policy(allow=["http://["])},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(oh.Error, match="OH530"):
        oh.Session(dense("m", "x", "y", (3, 3)), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [
    lambda: oh.Policy(max_response_bytes=0), lambda: oh.Policy(allow="host"), lambda: oh.Policy(deny=[5]),  # type: ignore[list-item]
    lambda: oh.Secret(5), lambda: oh.Secret("t", hosts=[5]), lambda: oh.Secret(Path("token")),  # type: ignore[arg-type, list-item]
])  # fmt: skip
def test_a_malformed_setting_is_refused_where_it_is_made(make: object) -> None:
    with pytest.raises(oh.Error, match="OH530"):
        make()  # type: ignore[operator]


def test_many_threads_share_a_session_and_many_sessions_are_made_at_once() -> None:
    model = dense("m", "x", "y", (3, 3))
    shared = oh.Session(model)
    expected = run(model, {"x": rows(2, 3)})["y"]
    wrong: list[object] = []

    def work() -> None:
        for session in (shared, oh.Session(model)):
            answers = [session.run(None, {"x": rows(2, 3)})[0] for _ in range(20)]
            wrong.extend(answer for answer in answers if not np.array_equal(answer, expected))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_model_that_onnx_saved_runs_by_its_path(tmp_path: Path) -> None:
    onnx.save(dense("m", "x", "y", (3, 3)).to_proto(), tmp_path / "m.onnx")
    session = oh.Session(str(tmp_path / "m.onnx"))
    assert session.run(None, {"x": rows(2, 3)})[0].shape == (2, 3)
