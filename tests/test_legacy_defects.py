"""What goes wrong with the old library, shown with the real one, and goes right after the upgrade."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.old_models import (
    AUTH,
    BYTES,
    ECHO,
    FILE,
    FLOAT,
    STRING,
    TOKEN,
    of_nodes,
    old_model,
    old_node,
    run_old,
    sent,
    text,
)
from tests.remotes import in_turn
from tests.servers.raw import RawServer, answer, raw_server, silence

X = np.array([1, 2], np.float32)


def transcription(url: str, **attributes: str) -> onnx.ModelProto:
    attributes = {"model_uri": url, "model_name": "m", "audio_format": "wav", **attributes}
    return old_model("OpenAIAudioToText", [AUTH, ("file", BYTES, [-1])], [("t", STRING, [-1])], **attributes)


def triton(url: str, given: int = FLOAT, declared: int = FLOAT, shape: Any = (2,)) -> onnx.ModelProto:
    attributes = {"model_uri": url, "model_name": "m", "model_version": "1"}
    return old_model("AzureTritonInvoker", [AUTH, ("X", given, shape)], [("Z", declared, shape)], **attributes)


def new(proto: onnx.ModelProto) -> oh.Session:
    return oh.Session(oh.legacy.upgrade(oh.Model.from_proto(proto)))


def spoken(token: str = TOKEN) -> dict[str, Any]:
    return {"auth_token": text(token), "file": FILE}


def feeds(x: Any = X) -> dict[str, Any]:
    return {"auth_token": text(TOKEN), "X": x}


def ending(work: Callable[..., object], *arguments: Any, patience: float = 30.0) -> str:
    """How work ends in a process of its own: "done", "crashed", or "hung" after so many seconds."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join(patience)
    if process.is_alive():
        process.kill()
        process.join()
        return "hung"
    return "crashed" if (process.exitcode or 0) < 0 else "done"


def test_an_error_page_is_no_transcription() -> None:
    page = b'{"error": {"message": "bad token"}}'
    with raw_server(answer(page, status="401 Unauthorized")) as server:
        assert run_old(transcription(server.url), spoken())[0].tolist() == [page.decode()]
        with pytest.raises(oh.RemoteStatusError, match="bad token"):
            new(transcription(server.url)).run(None, spoken())


def test_a_token_adds_no_header() -> None:
    token = f"{TOKEN}\r\nX-Injected: yes"
    with raw_server(answer(b"hi", kind="text/plain")) as server:
        run_old(transcription(server.url), spoken(token))
        assert b"\r\nX-Injected: yes\r\n" in server.requests.pop()
        with pytest.raises(oh.CredentialError) as caught:
            new(transcription(server.url)).run(None, spoken(token))
        assert not server.requests
        assert TOKEN not in str(caught.value)


def fp16_server(connection: Any, request: bytes) -> None:
    head = b'{"outputs":[{"name":"Z","datatype":"FP16","shape":[2],"parameters":{"binary_data_size":4}}]}'
    kind = "application/octet-stream"
    more = f"Inference-Header-Content-Length: {len(head)}\r\n"
    answer(head + np.array([1, 2], np.float16).tobytes(), kind=kind, more=more)(connection, request)


def test_an_fp16_output_does_not_crash() -> None:
    with raw_server(fp16_server) as server:
        proto = triton(server.url, declared=TensorProto.FLOAT16)
        assert ending(run_old, proto, feeds()) == "crashed"
        np.testing.assert_array_equal(new(proto).run(None, feeds())[0], np.array([1, 2], np.float16))


def test_fp16_and_bf16_inputs_travel() -> None:
    with raw_server(ECHO) as server:
        proto = triton(server.url, TensorProto.FLOAT16, TensorProto.FLOAT16)
        half = feeds(X.astype(np.float16))
        with pytest.raises(Exception, match="unknow input type"):
            run_old(proto, half)
        np.testing.assert_array_equal(new(proto).run(None, half)[0], half["X"])


def test_a_wrong_declared_type_gives_no_garbage() -> None:
    with raw_server(ECHO) as server:
        proto = triton(server.url, declared=TensorProto.INT32)
        (garbage,) = run_old(proto, feeds())
        assert garbage.tolist() == X.view(np.int32).tolist()
        with pytest.raises(oh.ProtocolError, match="OH505"):
            new(proto).run(None, feeds())


def test_an_empty_tensor_does_not_hang() -> None:
    with raw_server(ECHO) as server:
        proto = triton(server.url, shape=(0,))
        assert ending(run_old, proto, feeds(X[:0]), patience=4.0) == "hung"
        assert new(proto).run(None, feeds(X[:0]))[0].shape == (0,)


def in_threads(url: str, session: Callable[[onnx.ModelProto], Any]) -> None:
    shared = session(triton(url))
    gate = threading.Barrier(8)

    def work(number: int) -> None:
        x = np.full(2, number, np.float32)
        gate.wait()
        for _ in range(50):
            np.testing.assert_array_equal(shared.run(None, feeds(x))[0], x)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def old_in_threads(url: str) -> None:
    from tests.servers import old_wheel

    def session(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.register_custom_ops_library(str(old_wheel.library()))
        return onnxruntime.InferenceSession(proto.SerializeToString(), options)

    try:
        in_threads(url, session)
    except Exception:  # noqa: BLE001  # whatever it is, it is a failure of the run
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)


def test_a_session_has_many_threads() -> None:
    with raw_server(ECHO) as server:
        assert ending(old_in_threads, server.url) == "crashed"
        in_threads(server.url, new)


def file_name(server: RawServer) -> str:
    return next(name for field, name, _ in sent(server.requests.pop()).parts if field == "file")


def old_file_names(url: str) -> None:
    for audio_format in ("wav", "mp3"):
        run_old(transcription(url, audio_format=audio_format), spoken())


def test_each_model_has_its_own_file_name() -> None:
    with raw_server(answer(b"hi", kind="text/plain")) as server:
        assert ending(old_file_names, server.url) == "done"
        assert [file_name(server), file_name(server)] == ["audio.wav", "audio.wav"]
        for audio_format in ("wav", "mp3"):
            new(transcription(server.url, audio_format=audio_format)).run(None, spoken())
            assert file_name(server) == f"audio.{audio_format}"


def two_tokens(url: str) -> onnx.ModelProto:
    attributes = {"model_uri": url, "model_name": "m", "model_version": "1"}
    nodes = [
        old_node("AzureTritonInvoker", [f"{part}/auth_token", "X"], [f"{part}/Z"], name=part, **attributes)
        for part in ("a", "b")
    ]
    inputs = [("a/auth_token", STRING, [1]), ("b/auth_token", STRING, [1]), ("X", FLOAT, [2])]
    return of_nodes(nodes, inputs, [("a/Z", FLOAT, [2]), ("b/Z", FLOAT, [2])])


def test_two_credentials_live_in_one_graph() -> None:
    with raw_server(ECHO) as server:
        tokens = {"a/auth_token": text("one"), "b/auth_token": text("other")}
        with pytest.raises(Exception, match="first input name must be 'auth_token'"):
            run_old(two_tokens(server.url), {**tokens, "X": X})
        new(two_tokens(server.url)).run(None, {**tokens, "X": X})
        heard = {sent(request).token[1] for request in server.requests}
        assert heard == {"Bearer one", "Bearer other"}


def test_a_prefix_does_not_change_the_protocol() -> None:
    with raw_server(ECHO) as server:
        proto = triton(server.url)
        prefixed = onnx.compose.add_prefix(proto, "p/", rename_inputs=False)
        run_old(prefixed, feeds())
        assert sent(server.requests.pop()).outputs == ("p/Z",)
        model = oh.legacy.upgrade(oh.Model.from_proto(proto)).prefix("p/")
        oh.Session(model).run(None, {f"p/{name}": value for name, value in feeds().items()})
        request = sent(server.requests.pop())
        assert (request.outputs, request.tensors[0][0]) == (("Z",), "X")


def test_a_silent_server_is_not_waited_for_without_end() -> None:
    with raw_server(silence) as server:
        assert ending(run_old, triton(server.url), feeds(), patience=4.0) == "hung"
        model = oh.legacy.upgrade(oh.Model.from_proto(triton(server.url)))
        assert model.remotes[0].timeout == 30  # the deadline itself is tested with the remote nodes


def test_what_is_safe_to_repeat_is_repeated() -> None:
    busy, right = answer(b"busy", status="503 Service Unavailable"), answer(b"hi", kind="text/plain")
    with raw_server(in_turn(iter([busy, right]))) as server:
        assert run_old(transcription(server.url), spoken())[0].tolist() == ["busy"]
    with raw_server(in_turn(iter([busy, right]))) as server:
        assert new(transcription(server.url)).run(None, spoken())[0].tolist() == ["hi"]


def test_an_output_that_no_server_gives_is_named() -> None:
    node = helper.make_node("Neg", ["Z"], ["y"])
    proto = triton("http://127.0.0.1:1")
    proto.graph.node.append(node)
    proto.graph.output[0].name = "y"
    with pytest.raises(oh.ValidationError, match=r"OH114.*'Z'"):
        oh.legacy.upgrade(oh.Model.from_proto(proto))
