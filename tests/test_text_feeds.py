"""Texts of a feed reach ONNX Runtime, and a server, to the last byte; what is no text is refused before a run."""

from __future__ import annotations

import asyncio
import enum
import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.http
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.servers.blobs import packed, sent
from tests.servers.raw import RawServer, answer, raw_server
from tests.strategies import of_graph
from tests.test_begin import LONG

REPLY = json.dumps({"outputs": [{"name": "n", "datatype": "INT64", "shape": [1], "data": [1]}]}).encode()

texts = st.text(max_size=12)
ended = texts.filter(lambda text: not text.endswith("\0"))
"""numpy's own dtypes of fixed width know no NUL at the end."""


def _local(kind: str = "tensor") -> oh.Model:
    """A model of strings x -> y, of which x is a tensor, a sequence or an optional tensor."""
    tensor = helper.make_tensor_type_proto(TensorProto.STRING, None)
    several = helper.make_sequence_type_proto(tensor)
    nodes = {
        "tensor": [helper.make_node("Identity", ["x"], ["y"])],
        "sequence": [helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)],
        "optional": [helper.make_node("OptionalGetElement", ["x"], ["y"])],
    }
    kinds = {"tensor": tensor, "sequence": several, "optional": helper.make_optional_type_proto(tensor)}
    x, y = helper.make_value_info("x", kinds[kind]), helper.make_value_info("y", tensor)
    return of_graph(helper.make_graph(nodes[kind], "g", [x], [y]))


@pytest.fixture(scope="module")
def local() -> oh.Session:
    return oh.Session(_local())


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with raw_server(answer(REPLY)) as raw:
        yield raw


@pytest.fixture(scope="module")
def remote(server: RawServer) -> oh.Session:
    x, n = oh.TensorSpec("x", "str", None), oh.TensorSpec("n", "int64", (1,))
    return oh.Session(oh.remote.triton(server.url, "m", inputs=[x], outputs=[n], retries=0))


def _sent(server: RawServer) -> tuple[dict[str, Any], bytes]:
    """What the server was told of the one input, and its bytes."""
    (request,) = server.requests
    server.requests.clear()
    return sent(request)


def _official(url: str, array: Any) -> None:
    tensor = tritonclient.http.InferInput("x", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array)
    with tritonclient.http.InferenceServerClient(url.removeprefix("http://")) as client:
        client.infer("m", [tensor], outputs=[tritonclient.http.InferRequestedOutput("n")])


def _objects(values: list[Any]) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@given(st.lists(texts | texts.map(str.encode), max_size=5))
def test_a_server_sees_the_bytes_that_tritonclient_sends(server: RawServer, remote: oh.Session, values: Any) -> None:
    array = _objects(values)
    remote.run(None, {"x": array})
    ours = _sent(server)
    _official(server.url, array)
    assert ours == _sent(server)


@given(st.lists(st.binary(max_size=6) | texts.map(str.encode), min_size=1, max_size=4))
def test_bytes_arrive_or_are_refused_before_anything_is_sent(
    server: RawServer, remote: oh.Session, values: list[bytes]
) -> None:
    try:
        remote.run(None, {"x": _objects(values)})
    except oh.Error as problem:
        assert problem.code == "OH543"
        assert not server.requests
        with pytest.raises(UnicodeDecodeError):
            b"\n".join(values).decode()
    else:
        assert _sent(server)[1] == packed(*values)


@given(
    st.lists(ended, min_size=1, max_size=5),
    st.sampled_from("OUTS><VBL" if hasattr(np.dtypes, "StringDType") else "OUS><VBL"),
)
def test_an_array_of_any_kind_of_text_is_taken_as_its_texts(local: oh.Session, values: list[str], kind: str) -> None:
    arrays: dict[str, Callable[[], Any]] = {
        "O": lambda: _objects(values),
        "U": lambda: np.array(values),
        "T": lambda: np.array(values, np.dtypes.StringDType()),
        "S": lambda: np.array([value.encode() for value in values]),
        ">": lambda: np.array(values).astype(f">U{max(map(len, values)) or 1}"),
        "<": lambda: np.repeat(np.array(values), 2)[::2],
        "V": lambda: _objects([np.void(value.encode() + b"\0") for value in values]),
        "B": lambda: _objects([memoryview(value.encode()) for value in values]),
        "L": lambda: list(values),
    }
    (found,) = local.run(None, {"x": arrays[kind]()})
    assert found.tolist() == [value + "\0" if kind == "V" else value for value in values]


@given(st.lists(ended.filter(lambda text: "\0" not in text), min_size=4, max_size=4))
def test_plain_text_is_what_onnx_runtime_makes_of_it(local: oh.Session, values: list[str]) -> None:
    plain = onnxruntime.InferenceSession(_local().to_proto().SerializeToString())
    square = np.array(values).reshape(2, 2)
    for array in (square, square.T, square.astype(object)[:, ::-1], square[:0], square[0, 0, None], values):
        expected = plain.run(None, {"x": array})[0]
        found = local.run(None, {"x": array})[0]
        assert (found.tolist(), found.shape) == (expected.tolist(), expected.shape)
    assert local.run(None, {"x": np.array(values[0])})[0].shape == ()


class Colour(str, enum.Enum):
    RED = "red"


class Missing:
    """As pandas.NA: its text is no value."""

    def __str__(self) -> str:
        return "<NA>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Colour.RED, "red"),
        (np.str_("a\0"), "a\0"),
        (np.bytes_(b"a"), "a"),
        (bytearray("é".encode()), "é"),
        (np.void(b"\0"), "\0"),
    ],
)
def test_kinds_of_str_and_bytes_are_what_they_hold(local: oh.Session, value: Any, text: str) -> None:
    array = np.empty((1, 1), object)
    array[0, 0] = value
    assert local.run(None, {"x": array})[0].tolist() == [[text]]


@pytest.mark.parametrize(
    "value", [None, 1, 2.5, True, float("nan"), Missing(), ["a"], np.array("a"), b"\xff", "\ud800"]
)
@pytest.mark.parametrize("form", ["array", "list", "scalar"])
def test_what_is_no_text_is_refused_by_its_place_and_never_shown(local: oh.Session, value: Any, form: str) -> None:
    array = _objects(["a", "b", "c", "d"]).reshape(2, 2)
    array[1, 0] = value
    feed = {"array": array, "list": array.tolist(), "scalar": array[1, 0, ...]}[form]
    place = "at" if form == "list" else "at [1, 0]," if form == "array" else "'x' is"
    with pytest.raises(oh.Error, match="OH543") as caught:
        local.run(None, {"x": feed})
    assert place in str(caught.value)
    assert "\\xff" not in str(caught.value)


@pytest.mark.parametrize(
    "array", [np.array([b"\xff\xd8\0"]), np.array([np.void(b"\xff\xd8\0")]), np.ma.array(["a"], mask=[True])]
)
def test_arrays_of_other_dtypes_that_hold_no_text_are_refused(local: oh.Session, array: Any) -> None:
    with pytest.raises(oh.Error, match="OH543"):
        local.run(None, {"x": array})


def test_numbers_for_an_input_of_texts_are_named_as_such(local: oh.Session) -> None:
    with pytest.raises(oh.Error, match=r"OH540.*'x' takes str"):
        local.run(None, {"x": np.ones(2, np.float32)})


def test_bytes_that_are_no_text_are_told_the_way_that_takes_them(local: oh.Session) -> None:
    with pytest.raises(oh.Error, match=r"OH543.*oh\.remote\.triton\(…, bytes=\['x'\]\).*numpy\.frombuffer"):
        local.run(None, {"x": _objects([b"\xff\xd8"])})


@pytest.mark.parametrize("kind", ["sequence", "optional"])
def test_texts_in_sequences_and_optional_inputs_are_taken_whole(kind: str) -> None:
    session = oh.Session(_local(kind))
    array = np.array([b"a\0b", b"c"])
    assert session.run(None, {"x": [array, array] if kind == "sequence" else array})[0].tolist() == [
        "a\0b",
        "c",
    ] * (2 if kind == "sequence" else 1)
    with pytest.raises(oh.Error, match="OH543"):
        session.run(None, {"x": [_objects([None])] if kind == "sequence" else _objects([None])})


def _by_async(session: oh.Session, feeds: Any) -> Any:
    heard: queue.Queue[tuple[Any, str]] = queue.Queue()
    session.run_async(None, feeds, lambda outputs, _, error: heard.put((outputs, error)), None)
    outputs, error = heard.get(timeout=LONG)
    if error:
        raise oh.Error(error[1:6], error)
    return outputs


WAYS: dict[str, Callable[[oh.Session, Any], Any]] = {
    "run": lambda session, feeds: session.run(None, feeds),
    "submit": lambda session, feeds: session.submit(None, feeds).result(LONG),
    "run_async": _by_async,
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_takes_texts_alike(way: str, server: RawServer, remote: oh.Session) -> None:
    WAYS[way](remote, {"x": np.array([b"a\0b", b"c"])})
    assert _sent(server)[1] == b"\x03\0\0\0a\0b\x01\0\0\0c"
    with pytest.raises(oh.Error, match="OH543"):
        WAYS[way](remote, {"x": _objects([b"a", None])})
    assert not server.requests


async def _awaited(session: oh.Session, feeds: Any) -> Any:
    return await session.arun(None, feeds)


def test_a_coroutine_takes_texts_alike(server: RawServer, remote: oh.Session) -> None:
    asyncio.run(_awaited(remote, {"x": np.array([b"a\0b"])}))
    assert _sent(server)[1] == b"\x03\0\0\0a\0b"
    with pytest.raises(oh.Error, match="OH543"):
        asyncio.run(_awaited(remote, {"x": _objects([None])}))


def test_a_token_given_at_run_time_is_read_no_further_than_it_goes(server: RawServer) -> None:
    x, n = oh.TensorSpec("x", "float32", (1,)), oh.TensorSpec("n", "int64", (1,))
    session = oh.Session(
        oh.remote.triton(server.url, "m", inputs=[x], outputs=[n], auth=oh.Input("auth_token"), retries=0)
    )
    session.run(None, {"x": np.ones(1, np.float32), "auth_token": np.array([b"token"])})
    (request,) = server.requests
    server.requests.clear()
    assert b"bearer token\r\n" in request.split(b"\r\n\r\n")[0].lower() + b"\r\n"


def test_no_string_is_bound_or_made_an_ort_value_of(local: oh.Session) -> None:
    """The other ways into a session take no array of strings; else they would have to be looked at as well."""
    for array in (np.array(["a"]), np.array([b"a"]), np.array([b"a"], object)):
        with pytest.raises(RuntimeError):
            onnxruntime.OrtValue.ortvalue_from_numpy(array)
        with pytest.raises(RuntimeError):
            local.io_binding().bind_cpu_input("x", array)
