"""Bytes that are no text: one element of BYTES on the wire, whose bytes are a uint8 tensor of the graph."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnxhybrid as oh
from tests.servers.blobs import binary, packed, reversing, sent
from tests.servers.raw import RawServer, answer, raw_server
from tests.strategies import of_graph

IMAGE = oh.TensorSpec("image", "uint8", ("bytes",))
SMALL = oh.TensorSpec("small", "uint8", (None,))
PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\xff"


def thumbnail(url: str, **options: Any) -> oh.Model:
    """A remote model image uint8["bytes"] -> small uint8[?]."""
    settings: dict[str, Any] = {"inputs": [IMAGE], "outputs": [SMALL], "bytes": ["image", "small"], "retries": 0}
    return oh.remote.triton(url, "m", **settings | options)


def feed(data: bytes) -> dict[str, Any]:
    return {"image": np.frombuffer(data, np.uint8)}


@pytest.fixture(scope="module")
def server() -> Any:
    with reversing("small") as raw:
        yield raw


@pytest.fixture(scope="module")
def session(server: RawServer) -> oh.Session:
    return oh.Session(thumbnail(server.url))


def _repeated(piece: bytes, size: int) -> bytes:
    return (piece * size)[:size]


# The sizes about which a payload is lent instead of copied.
_LARGE = st.builds(_repeated, st.binary(min_size=1, max_size=300), st.integers(65_000, 66_000))


@given(st.binary(max_size=300) | _LARGE)
def test_any_bytes_are_one_element_and_come_back_whole(server: RawServer, session: oh.Session, data: bytes) -> None:
    (small,) = session.run(None, feed(data))
    described, body = sent(server.requests.pop())
    assert (described["datatype"], described["shape"], body) == ("BYTES", [1], packed(data))
    assert (small.dtype, small.shape, small.tobytes()) == (np.uint8, (len(data),), data[::-1])


def test_a_tensor_given_as_the_str_of_the_server_keeps_that_shape_on_the_wire(server: RawServer) -> None:
    specs = {name: [oh.TensorSpec(name, "str", ("n", 1, None))] for name in ("image", "small")}
    model = thumbnail(server.url, inputs=specs["image"], outputs=specs["small"])
    assert [str(spec) for spec in (*model.inputs, *model.outputs)] == [
        "image: uint8[image_bytes]",
        "small: uint8[small_bytes]",
    ]
    assert oh.Session(model).run(None, feed(PHOTO))[0].tobytes() == PHOTO[::-1]
    assert sent(server.requests.pop())[0]["shape"] == [1, 1, 1]


def test_bytes_whose_sizes_have_one_name_are_each_as_long_as_they_are() -> None:
    named = [oh.TensorSpec(name, "uint8", ("bytes",)) for name in ("image", "small")]
    with raw_server(functools.partial(binary, "small", [1], packed(b"abc"))) as raw:
        model = thumbnail(raw.url, inputs=named[:1], outputs=named[1:])
        assert oh.Session(model).run(None, feed(PHOTO))[0].tobytes() == b"abc"
    assert [str(spec) for spec in thumbnail("http://h").inputs] == ["image: uint8[bytes]"]


@pytest.mark.parametrize("array", [np.array([PHOTO]), np.array([PHOTO], object)])
def test_an_element_where_its_bytes_are_wanted_is_refused_by_how_it_is_fed(session: oh.Session, array: Any) -> None:
    with pytest.raises(oh.Error, match=r"OH540.*'image' takes uint8.*numpy\.frombuffer"):
        session.run(None, {"image": array})


def test_only_named_tensors_are_bytes(server: RawServer) -> None:
    model = thumbnail(server.url, outputs=[oh.TensorSpec("small", "str", (1,))], bytes=["image"])
    assert oh.Session(model).run(None, feed(b"abc"))[0].tolist() == ["cba"]
    with pytest.raises(oh.ProtocolError, match=r'OH504.*no UTF-8.*bytes_tensors.*bytes=\["small"\]'):
        oh.Session(model).run(None, feed(PHOTO))


def test_bytes_where_uint8_is_declared_are_refused_by_the_way_that_takes_them(server: RawServer) -> None:
    with pytest.raises(oh.ProtocolError, match=r'OH505.*is BYTES, but uint8 is declared.*bytes=\["small"\]'):
        oh.Session(thumbnail(server.url, bytes=["image"])).run(None, feed(PHOTO))


@pytest.mark.parametrize(
    ("shape", "data", "code"),
    [
        ([2], packed(b"a", b"b"), "OH506"),
        ([1], packed(b"a", b"b"), "OH506"),
        ([0], b"", "OH506"),
        ([1], b"", "OH506"),
        ([1], packed(b"abc")[:-1], "OH506"),
        ([1], b"\xff\xff\xff\xff", "OH506"),
    ],
)
def test_an_answer_of_other_than_one_whole_element_is_refused(shape: list[int], data: bytes, code: str) -> None:
    with (
        raw_server(functools.partial(binary, "small", shape, data)) as raw,
        pytest.raises(oh.ProtocolError, match=code),
    ):
        oh.Session(thumbnail(raw.url)).run(None, feed(PHOTO))


@pytest.mark.parametrize(
    ("data", "shape", "found"),
    [
        (["é\0"], [1], "é\0".encode()),
        ([["a"]], [1, 1], b"a"),
        (["a"], [], b"a"),
        (["a", "b"], [2], None),
        ([1], [1], None),
    ],
)
def test_an_element_that_comes_as_json_is_its_utf_8(data: Any, shape: list[int], found: bytes | None) -> None:
    output = {"name": "small", "datatype": "BYTES", "shape": shape, "data": data}
    with raw_server(answer(json.dumps({"outputs": [output]}).encode())) as raw:
        session = oh.Session(thumbnail(raw.url))
        if found is None:
            with pytest.raises(oh.ProtocolError, match=r"OH50[46]"):
                session.run(None, feed(PHOTO))
        else:
            assert session.run(None, feed(PHOTO))[0].tobytes() == found


def test_a_failed_call_that_is_data_gives_no_bytes() -> None:
    with raw_server(answer(b"{}", status="500 Internal Server Error")) as raw:
        small, ok, *_ = oh.Session(thumbnail(raw.url, on_error="flag")).run(None, feed(PHOTO))
    assert (small.shape, bool(ok)) == ((0,), False)


@pytest.mark.parametrize("combine", ["chain", "overlap", "prefixed"])
def test_bytes_stay_bytes_in_a_composition(server: RawServer, combine: str) -> None:
    cloud = thumbnail(server.url)
    if combine == "prefixed":
        model = oh.parallel(a=cloud.rename({"image": "picture"}), b=thumbnail(server.url, name="other"))
        found = oh.Session(model).run(["a/small"], {"picture": feed(PHOTO)["image"], **feed(b"x")})[0]
    else:
        tail = of_graph(
            helper.make_graph(
                [helper.make_node("Identity", ["small"], ["y"])],
                "g",
                [helper.make_tensor_value_info("small", TensorProto.UINT8, [None])],
                [helper.make_tensor_value_info("y", TensorProto.UINT8, [None])],
            )
        )
        model = oh.chain(cloud, tail)
        found = oh.Session(oh.overlap(model) if combine == "overlap" else model).run(["y"], feed(PHOTO))[0]
    assert found.tobytes() == PHOTO[::-1]


def test_bytes_are_recorded_and_replayed(tmp_path: Path) -> None:
    with reversing("small") as raw:
        model = thumbnail(raw.url)
        oh.Session(model, record=tmp_path / "tape").run(None, feed(PHOTO))
    replayed = oh.Session(model, replay=tmp_path / "tape")
    assert replayed.run(None, feed(PHOTO))[0].tobytes() == PHOTO[::-1]
    with pytest.raises(oh.Error, match="OH532"):
        replayed.run(None, feed(PHOTO[::-1]))
    with pytest.raises(oh.Error, match="OH532"):  # the same bytes as UINT8 are another request
        oh.Session(thumbnail(raw.url, bytes=["small"]), replay=tmp_path / "tape").run(None, feed(PHOTO))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bytes": "image"}, "list of tensors' names"),
        ({"bytes": b"image"}, "list of tensors' names"),
        ({"bytes": None}, "list of tensors' names"),
        ({"bytes": [1]}, "list of tensors' names"),
        ({"bytes": ["picture"]}, "'picture'.*'image', 'small'"),
        ({"inputs": [oh.TensorSpec("image", "uint8", (1, "n"))]}, r"uint8\[1, n\]"),
        ({"inputs": [oh.TensorSpec("image", "str", (3,))]}, r"str\[3\]"),
        ({"inputs": [oh.TensorSpec("image", "int8", ("n",))]}, r"int8\[n\]"),
    ],
)
def test_what_is_not_one_element_of_bytes_is_refused_when_the_model_is_built(options: Any, said: str) -> None:
    with pytest.raises(oh.ModelError, match=f"OH334.*{said}"):
        thumbnail("http://127.0.0.1:1", **options)


@pytest.mark.parametrize(
    ("datatype", "shape", "found"),
    [("BYTES", [-1, 1], [1, 1]), ("BYTES", [1], [1]), ("BYTES", [], []), ("UINT8", [1], None), ("BYTES", [2], None)],
)
def test_a_server_that_is_asked_says_the_shape_of_its_bytes(datatype: str, shape: list[int], found: Any) -> None:
    tensor = {"datatype": datatype, "shape": shape}
    metadata = {"inputs": [{"name": "image", **tensor}], "outputs": [{"name": "small", **tensor}]}
    with raw_server(answer(json.dumps(metadata).encode())) as raw:
        if found is None:
            with pytest.raises(oh.ModelError, match=r"OH334.*'image'|OH334.*image: "):
                oh.remote.triton(raw.url, "m", bytes=["image"])
            return
        model = oh.remote.triton(raw.url, "m", bytes=["image", "small"])
    (node,) = model.to_proto().graph.node
    (attribute,) = (entry for entry in node.attribute if entry.name == "bytes_tensors")
    assert json.loads(attribute.s) == {"image": found, "small": found}


@pytest.mark.parametrize(
    "attribute",
    ["[]", "1", '{"image": [2]}', '{"image": 1}', '{"other": [1]}', '{"number": [1]}', '{"image": [1'],
)
def test_a_malformed_attribute_is_refused_when_the_session_opens(attribute: str) -> None:
    outputs = [SMALL, oh.TensorSpec("number", "int64", (1,))]
    proto = thumbnail("http://127.0.0.1:1", outputs=outputs).to_proto()
    for entry in proto.graph.node[0].attribute:
        if entry.name == "bytes_tensors":
            entry.s = attribute.encode()
    with pytest.raises(oh.ModelError, match=r"OH301.*bytes_tensors"):
        oh.Session(oh.Model.from_proto(proto))


def test_an_input_of_bytes_that_is_none_in_the_graph_is_refused_before_it_is_sent(server: RawServer) -> None:
    server.requests.clear()
    proto = thumbnail(server.url).to_proto()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(oh.ProtocolError, match=r"OH509.*float32 of 1 dimensions, not uint8"):
        oh.Session(oh.Model.from_proto(proto)).run(None, {"image": np.ones(2, np.float32)})
    assert not server.requests


def test_the_old_operators_cannot_send_bytes_as_an_element(server: RawServer) -> None:
    with pytest.raises(oh.ModelError, match=r"OH403.*BYTES"):
        oh.legacy.export(thumbnail(server.url, auth=oh.Input("auth_token")))


@pytest.mark.parametrize(("datatype", "found"), [("BYTES", 0), ("UINT8", 2)])
def test_a_server_that_validate_asks_has_to_have_bytes_there(datatype: str, found: int) -> None:
    tensor = {"datatype": datatype, "shape": [1]}
    metadata = {"inputs": [{"name": "image", **tensor}], "outputs": [{"name": "small", **tensor}]}
    with raw_server(answer(json.dumps(metadata).encode())) as raw:
        report = oh.validate(thumbnail(raw.url), online=True)
    assert [finding.code for finding in report.findings].count("OH312") == found
    assert not report.errors or found
