"""Arguments of the wrong kind are coded errors where they are given, and never a library's traceback."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid import library
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, raw_server
from tests.strategies import dense, of_graph, rows

SURROGATE = "\ud800"
MODEL = dense("m", "x", "y", (3, 3))


def _strings() -> oh.Model:
    """A model of strings x -> y."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.STRING, [None]) for name in "xy")
    return of_graph(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y]))


@pytest.mark.parametrize("path", [None, 5, b"m.onnx", "", "\0", "a\0b", SURROGATE, "/", "."])
def test_what_is_no_path_of_a_file_is_refused_and_nothing_is_written(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(oh.ModelError, match="OH100"):
        oh.load(path)
    with pytest.raises(oh.ModelError, match="OH100"):
        oh.Session(path)
    assert oh.validate(path).errors[0].code == "OH100"
    for external in (True, False):
        with pytest.raises(oh.ModelError, match="OH112"):
            MODEL.save(path, external_data=external)
    assert not list(tmp_path.iterdir())


def test_a_session_of_a_proto_says_how_to_make_a_model_of_it() -> None:
    for given in (MODEL.to_proto(), MODEL.to_proto().SerializeToString()):
        with pytest.raises(oh.ModelError, match=r"OH100.*from_proto"):
            oh.Session(given)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: oh.Secret("t", hosts=None), "OH530"), (lambda: oh.Secret("t", hosts=5), "OH530"),  # type: ignore[arg-type]
        (lambda: oh.Policy(allow=5), "OH530"), (lambda: oh.Policy(deny=None), "OH530"),  # type: ignore[arg-type]
        (lambda: oh.Policy(allow=[SURROGATE]), "OH530"),
        (lambda: oh.Policy(client_certificate=5), "OH530"),  # type: ignore[arg-type]
        (lambda: oh.register(5), "OH530"),
        (lambda: oh.Session(MODEL, sess_options=5), "OH540"),
        (lambda: oh.Session(MODEL, providers="CPUExecutionProvider"), r"OH540.*\['CPUExecutionProvider'\]"),
        (lambda: oh.Session(MODEL, credentials={"a b": "t"}), "OH530"),
        (lambda: oh.Session(MODEL, credentials={5: "t"}), "OH530"),  # type: ignore[dict-item]
        (lambda: oh.Session(MODEL, credentials={"a": SURROGATE}), "OH530"),
        (lambda: oh.endpoint.serve(None), "OH552"), (lambda: oh.endpoint.serve({5: MODEL}), "OH552"),  # type: ignore[arg-type, dict-item]
        (lambda: oh.endpoint.serve({"m": MODEL}, None), "OH552"),  # type: ignore[arg-type]
        (lambda: oh.endpoint.serve({"m": MODEL}, port="80"), "OH552"),  # type: ignore[arg-type]
        (lambda: oh.endpoint.serve({"m": MODEL}, token=5), "OH552"),  # type: ignore[arg-type]
        (lambda: oh.endpoint.serve({"m": MODEL}, max_request_bytes=None), "OH552"),  # type: ignore[arg-type]
        (lambda: oh.endpoint.serve({"m": None}), "OH100"),  # type: ignore[dict-item]
        (lambda: MODEL.select(None), "OH109"), (lambda: MODEL.with_metadata(None), "OH111"),  # type: ignore[arg-type]
        (lambda: MODEL.bind(**{MODEL.inputs[0].name: [[1], [2, 3]]}), "OH111"),
        (lambda: oh.validate(MODEL, target=17), "OH304"),  # type: ignore[arg-type]
        (lambda: oh.validate(MODEL, target="opset " + "9" * 5000), "OH304"),
    ],
)  # fmt: skip
def test_a_setting_of_another_kind_is_a_coded_error(make: Callable[[], object], code: str) -> None:
    with pytest.raises(oh.Error, match=code):
        make()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: oh.TensorSpec(SURROGATE, "float32", (1,)), "OH110"),
        (lambda: oh.TensorSpec("x", "float32", (SURROGATE,)), "OH110"),
        (lambda: MODEL.rename({"x": SURROGATE}), "OH113"),
        (lambda: MODEL.prefix(SURROGATE), "OH113"),
        (lambda: MODEL.with_metadata({"note": SURROGATE}), "OH111"),
        (lambda: _strings().bind(x=[SURROGATE]), "OH111"),
        (lambda: adder("http://h", name=SURROGATE), "OH304"),
        (lambda: adder(f"http://h{SURROGATE}"), "OH301"),
        (lambda: oh.remote.openai_chat("m", system=SURROGATE), "OH304"),
        (lambda: oh.remote.openai_chat("m", system=oh.Input("s", default=SURROGATE)), "OH304"),
        (lambda: oh.remote.openai_chat("m", system=oh.Input(SURROGATE)), "OH110"),
    ],
)
def test_a_lone_surrogate_is_refused_where_it_enters_and_its_error_can_be_printed(
    make: Callable[[], object], code: str
) -> None:
    with pytest.raises(oh.Error, match=code) as caught:
        make()
    assert str(caught.value).encode()


def test_an_input_may_be_called_self_and_a_string_keeps_its_nuls() -> None:
    renamed = _strings().rename({"x": "self"})
    (y,) = oh.Session(renamed.bind(self=["a\0", "b"])).run(None, {})
    assert y.tolist() == ["a\0", "b"]


@pytest.mark.parametrize("dtype", ["complex64", "int4", "float8_e5m2", "complex128"])
def test_a_type_that_the_protocol_lacks_is_refused_by_the_builder(dtype: str) -> None:
    odd, plain = [oh.TensorSpec("odd", dtype, (1,))], [oh.TensorSpec("plain", "float32", (1,))]
    for inputs, outputs in ((odd, plain), (plain, odd)):
        for url in ("http://h", "grpc://h"):
            with pytest.raises(oh.ModelError, match=rf"OH301.*odd: {dtype}"):
                oh.remote.triton(url, "m", inputs=inputs, outputs=outputs)
        with pytest.raises(oh.ModelError, match=rf"OH301.*odd: {dtype}"):
            oh.remote.azureml("http://h/score", inputs=inputs, outputs=outputs)


def test_run_and_run_async_take_what_an_inference_session_takes() -> None:
    for name in ("run", "run_async"):
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (oh.Session, onnxruntime.InferenceSession))
        assert [(p.name, p.default) for p in ours.parameters.values()] == [
            (p.name, p.default) for p in theirs.parameters.values()
        ]


@pytest.mark.parametrize("feed", [1.0, None, "text", b"bytes", True, np.float32(1)])
def test_a_feed_that_is_no_array_is_named(feed: object) -> None:
    with pytest.raises(oh.Error, match=rf"OH540.*'x' is a {type(feed).__name__}"):
        oh.Session(MODEL).run(None, {"x": feed})


def test_none_is_named_where_a_remote_model_wants_a_tensor() -> None:
    with raw_server(answer(reply())) as server:
        with pytest.raises(oh.Error, match=r"OH540.*'x' is a NoneType"):
            oh.Session(adder(server.url)).run(None, {"x": None})
        assert not server.requests


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("base_url", "write url="),
        ("api_key", "write credentials=.* where the session opens"),
        ("default_headers", "write headers="),
        ("top_p", r"goes into extra=\{'top_p': …\}"),
        ("tempreature", "did you mean 'temperature'"),
    ],
)
def test_an_argument_of_the_official_client_is_told_by_what_to_write(given: str, instead: str) -> None:
    with pytest.raises(oh.ModelError, match=f"OH304.*{given}.*{instead}"):
        oh.remote.openai_chat("m", **{given: 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "meant"), [("FP32", "float32"), ("BF16", "bfloat16"), ("INT64", "int64"), ("BYTES", "str")]
)
def test_a_dtype_of_kserve_is_told_by_the_name_that_it_has_here(given: str, meant: str) -> None:
    with pytest.raises(oh.ModelError, match=rf"OH110.*did you mean '{meant}'\?"):
        oh.TensorSpec("x", given, (1,))


def test_a_default_of_another_kind_is_told_as_the_default_of_its_input() -> None:
    with pytest.raises(oh.ModelError, match=r"OH304.*the default of 'heat' is a finite number, not 'hot'"):
        oh.remote.openai_chat("m", temperature=oh.Input("heat", default="hot"))


def test_several_urls_are_told_where_they_go() -> None:
    with pytest.raises(oh.ModelError, match=r"OH301.*oh\.Endpoint"):
        adder(["http://a", "http://b"])  # type: ignore[arg-type]
    with pytest.raises(oh.ModelError, match=r"OH326.*endpoints=\{\"gpu\": \[url"):
        oh.Endpoint("gpu", default=["http://a", "http://b"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "said"), [("404 Not Found", "inputs= and outputs="), ("401 Unauthorized", "auth=oh.Credential")]
)
def test_a_server_that_refuses_to_tell_of_a_model_is_met_by_what_to_give(status: str, said: str) -> None:
    with (
        raw_server(answer(b"{}", status=status)) as server,
        pytest.raises(oh.RemoteStatusError, match=f"OH503.*{said}"),
    ):
        oh.remote.triton(server.url, "m", retries=0)


def test_a_list_is_an_array_as_in_onnx_runtime() -> None:
    session, expected = oh.Session(MODEL), rows(2, 3)
    np.testing.assert_array_equal(session.run(None, {"x": expected.tolist()})[0], session.run(None, {"x": expected})[0])


@pytest.mark.parametrize("arguments", [("y", {}), (5, {}), (None, [1]), (None, None), (None, {}, 5)])
def test_what_a_run_is_given_is_checked(arguments: Any) -> None:
    session = oh.Session(MODEL)
    for run in (
        session.run,
        session.submit,
        lambda names, feeds, *options: session.run_async(names, feeds, print, None, *options),
    ):
        with pytest.raises(oh.Error, match="OH540"):
            run(*arguments)
    with pytest.raises(oh.Error, match=r"OH540.*callback"):
        session.run_async(None, {"x": rows(1, 3)}, None, None)  # type: ignore[arg-type]


def test_options_in_which_the_library_was_registered_by_hand_are_an_error_that_says_what_to_do() -> None:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    with pytest.raises(oh.Error, match=r"OH542.*register_custom_ops_library"):
        oh.Session(MODEL, sess_options=options)
    ours = onnxruntime.SessionOptions()
    oh.register(ours)
    assert oh.Session(MODEL, sess_options=ours).run(None, {"x": rows(2, 3)})


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("version", [None, 1, library.ABI_VERSION - 1])
def test_a_library_of_another_version_is_a_coded_error_with_both_versions(version: int | None, tmp_path: Path) -> None:
    source = "" if version is None else f"unsigned onnxhybrid_abi_version(void) {{ return {version}; }}"
    (tmp_path / "old.c").write_text(source + "\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "old.so", "old.c"], cwd=tmp_path, check=True)
    program = "import onnxhybrid as oh\ntry:\n    oh.remote.openai_chat('m')\nexcept oh.Error as e:\n    print(e)"
    variables = {**os.environ, "ONNXHYBRID_LIBRARY": str(tmp_path / "old.so")}
    said = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("[OH550]")
    assert f"its version is {version or 'none'}, and this package needs {library.ABI_VERSION}" in said.stdout


@pytest.mark.parametrize("on_error", ["raise", "flag"])
def test_a_shape_that_no_array_can_have_is_refused_also_where_it_is_empty(on_error: Any) -> None:
    free = [oh.TensorSpec("y", "float32", None)]
    with raw_server(answer(reply(shape=[0, 2**62], data=[]))) as server:
        model = oh.remote.triton(
            server.url, "m", inputs=[oh.TensorSpec("x", "float32", None)], outputs=free, on_error=on_error
        )
        session = oh.Session(model)
        if on_error == "raise":
            with pytest.raises(oh.ProtocolError, match="OH506"):
                session.run(None, {"x": X})
        else:
            assert "OH506" in str(session.run(["error"], {"x": X})[0])


def test_a_call_without_rows_has_no_status_since_nothing_was_asked() -> None:
    with raw_server(answer(b"")) as server:
        chat = oh.remote.openai_chat("m", url=server.url, auth=None, on_error="flag")
        _, ok, status, error = oh.Session(chat).run(None, {"prompt": np.array([], object)})
    assert (bool(ok), int(status), str(error)) == (True, 0, "")
    assert not server.requests
