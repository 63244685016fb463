"""How much memory requests make the embedded endpoint hold, measured at its process, and what it refuses for it."""

from __future__ import annotations

import gzip
import http.client
import json
import struct
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.json_text import json_elements, json_list, json_nested
from onnxhybrid.endpoint.memory import Memory
from onnxhybrid.endpoint.weight import json_weight
from tests.endpoint_models import identity, post
from tests.endpoint_process import Process, answer_to, head, serving
from tests.test_endpoint_hosts import ROUTES, refused
from tests.test_endpoint_services import chat, embedder, speech

MIB = 1 << 20
LENGTH = "Inference-Header-Content-Length"
Request = tuple[str, bytes, dict[str, str]]
"""Path, body, headers."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models = {datatype.lower(): identity(datatype) for datatype in ("BYTES", "FP32", "INT64")}
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, {**models, "chat": chat(), "speech": speech(), "embedder": embedder()}) as running:
        yield running


def send(url: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Send a request; the status."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def binary(datatype: str, data: bytes, count: int) -> Request:
    entry = {"name": "x", "shape": [count], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"inputs": [entry]}).encode()
    return f"/v2/models/{datatype.lower()}/infer", text + data, {LENGTH: str(len(text))}


def json_tensor(datatype: str, element: bytes, count: int, first: bytes | None = None) -> Request:
    data = (first or element) + b"," + b",".join([element] * (count - 1))
    entry = b'{"name": "x", "shape": [%d], "datatype": "%s", "data": [%s]}' % (count, datatype.encode(), data)
    return f"/v2/models/{datatype.lower()}/infer", b'{"inputs": [%s]}' % entry, {}


def chatting(junk: bytes, size: int = 20 * MIB) -> Request:
    return "/v1/chat/completions", b'{"model": "chat", "messages": [%s]}' % b",".join([junk] * (size // len(junk))), {}


def saying(text: bytes) -> Request:
    said = b'{"role": "user", "content": "%s"}' % text
    return "/v1/chat/completions", b'{"model": "chat", "messages": [%s]}' % said, {}


def form(*parts: bytes) -> Request:
    body = b"".join(b"--B\r\nContent-Disposition: form-data; name=%s\r\n" % part for part in parts) + b"--B--\r\n"
    return "/v1/audio/transcriptions", body, {"Content-Type": "multipart/form-data; boundary=B"}


ONE = 1_700_000
LARGE: dict[str, tuple[Callable[[], Request], tuple[int, ...]]] = {
    "a long string and many empty ones": (
        lambda: binary("BYTES", struct.pack("<I", 600) + b"x" * 600 + bytes(4 * (ONE - 1)), ONE),
        (200,),
    ),
    "many short strings": (lambda: binary("BYTES", b"\2\0\0\0ab" * 1_200_000, 1_200_000), (200,)),
    "a string of wide characters": (
        lambda: binary("BYTES", struct.pack("<I", 16 * MIB) + "😀".encode() * (4 * MIB), 1),
        (200,),
    ),
    "a long string and many short ones in JSON": (
        lambda: json_tensor("BYTES", b'"b"', 1_000_000, b'"%s"' % (b"x" * 5000)),
        (200, 413),
    ),
    "floats": (lambda: binary("FP32", bytes(24 * MIB), 6 * MIB), (200,)),
    "floats in JSON": (lambda: json_tensor("FP32", b"0.12345678", 1_500_000), (200,)),
    "digits in JSON": (lambda: json_tensor("INT64", b"1", 3_000_000), (200,)),
    "more digits in JSON": (lambda: json_tensor("INT64", b"1", 12_000_000), (413,)),
    "a million brackets": (lambda: ("/v2/models/fp32/infer", b"[" * 1_000_000, {}), (400, 413)),
    "fifty million brackets": (lambda: ("/v1/embeddings", b"[" * 20_000_000, {}), (400, 413)),
    "lists of nothing": (lambda: chatting(b"[]"), (413,)),
    "objects of nothing": (lambda: chatting(b"{}"), (413,)),
    "objects": (lambda: chatting(b'{"a":0}'), (413,)),
    "messages": (lambda: chatting(b'{"role":"user","content":"a"}'), (413,)),
    "numbers": (lambda: chatting(b"0.5"), (413,)),
    "a long message": (lambda: saying(b"Hello, world: text. " * (20 * MIB // 20)), (200,)),
    "a long message with an emoji": (lambda: saying("😀".encode() + b"a" * (16 * MIB)), (200,)),
    "a long message with an escaped emoji": (lambda: saying(b"\\ud83d\\ude00" + b"a" * (16 * MIB)), (200,)),
    "many texts": (
        lambda: ("/v1/embeddings", b'{"model": "embedder", "input": [%s]}' % b",".join([b'"a b"'] * 200_000), {}),
        (200,),
    ),
    "texts where numbers belong": (
        lambda: ("/score/fp32", b'{"x": ["%s", %s]}' % (b"a" * 1_000_000, b",".join([b'"b"'] * 1_000_000)), {}),
        (400,),
    ),
    "texts": (
        lambda: ("/score/bytes", b'{"x": ["%s", %s]}' % (b"a" * 1_000_000, b",".join([b'"b"'] * 1_000_000)), {}),
        (200,),
    ),
    "lists in lists": (lambda: ("/score/fp32", b'{"x": %s%s}' % (b"[" * 2_000_000, b"]" * 2_000_000), {}), (413,)),
    "many zeros, packed": (
        lambda: ("/v2/models/fp32/infer", gzip.compress(bytes(300 * MIB)), {"Content-Encoding": "gzip"}),
        (413,),
    ),
    "a long file": (
        lambda: form(
            b'"file"; filename="a"\r\n\r\n' + bytes(20 * MIB),
            b'"model"\r\n\r\nspeech',
            b'"language"\r\n\r\nde',
        ),
        (200,),
    ),
    "a long head of a part": (lambda: form(b"a" * (20 * MIB)), (400,)),
    "many files": (lambda: form(*[b'"file"; filename="a"\r\n\r\nx'] * 200_000), (400,)),
    "many fields": (lambda: form(*[b'"a"\r\n\r\nx'] * 200_000), (400,)),
    "a long field": (lambda: form(b'"a"\r\n\r\n' + bytes(20 * MIB)), (400,)),
    "a form of another kind": (
        lambda: (
            "/v1/audio/transcriptions",
            b"a&" * (20 * MIB),
            {"Content-Type": "application/x-www-form-urlencoded"},
        ),
        (400,),
    ),
}


@on_linux
@pytest.mark.parametrize("case", LARGE)
def test_a_request_never_makes_the_endpoint_hold_far_more_than_its_bytes(process: Process, case: str) -> None:
    make, statuses = LARGE[case]
    path, body, headers = make()
    found: list[int] = []
    grown = process.peak(lambda: found.append(send(process.url, path, body, headers)))
    assert found[0] in statuses
    assert grown < 192 * MIB + 20 * len(body)  # nothing is kept from the request before


@on_linux
def test_requests_together_hold_what_they_may_and_others_are_told_to_come_again() -> None:
    path, body, headers = binary("FP32", bytes(4 * MIB), MIB)
    with serve({"fp32": identity("FP32")}, max_memory_bytes=40 * MIB) as endpoint:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(send(endpoint.url, path, body, headers))) for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert send(endpoint.url, path, body, headers) == 200  # what was held is given back


@settings(deadline=None)
@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=60))
def test_no_more_is_held_than_may_be_and_who_is_refused_holds_nothing(limit: int, takes: list[tuple[int, int]]) -> None:
    memory = Memory(limit)
    shares, held = [memory.share() for _ in range(6)], [0] * 6
    for who, size in takes:
        try:
            shares[who].hold(size)
            held[who] += size
            assert sum(held) <= limit
        except RequestError as refusal:
            assert sum(held) + size > limit
            assert refusal.status == (413 if held[who] + size > limit else 503)
            held[who] = 0
    for share in shares:
        share.release()
    memory.share().hold(limit)  # all of it is there again


def test_what_can_never_be_held_is_a_413_and_what_is_full_a_503_with_a_time_to_come_again() -> None:
    with serve({"fp32": identity("FP32")}, max_memory_bytes=MIB) as endpoint:
        path, body, headers = binary("FP32", bytes(MIB), MIB // 4)
        status, answer, _ = post(endpoint.url, path, body, headers)
        assert (status, "memory" in answer["error"]) == (413, True)
        path, body, headers = binary("FP32", bytes(MIB // 8), MIB // 32)
        assert send(endpoint.url, path, body, headers) == 200


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "POST"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_in_the_form_of_each_protocol(path: str, chunked: bool) -> None:
    with serve({"m": identity("FP32")}, max_request_bytes=1000) as endpoint:
        size = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1001"
        body = b"3e9\r\n" + bytes(1001) + b"\r\n0\r\n\r\n" if chunked else bytes(1001)
        kind = "Content-Type: multipart/form-data; boundary=B"
        answer = answer_to(endpoint.url, head("POST", path, "Host: localhost", kind, size) + body)
        assert refused(answer, path) == 413


JSON_POSTS = [path for method, path in ROUTES if method == "POST" and "audio" not in path]


@pytest.mark.parametrize("path", JSON_POSTS)
def test_json_that_would_take_many_times_its_size_is_refused_by_each_protocol(path: str) -> None:
    with serve({"m": identity("FP32")}) as endpoint:
        body = b'{"model": "m", "a": [%s]}' % b",".join([b"{}"] * 2_000_000)
        size = f"Content-Length: {len(body)}"
        assert refused(answer_to(endpoint.url, head("POST", path, "Host: localhost", size) + body), path) == 413


@pytest.mark.parametrize(
    "limits",
    [
        {"max_request_bytes": 0},
        {"max_memory_bytes": 0},
        {"max_memory_bytes": 1.5},
        {"max_memory_bytes": True},
        {"max_connections": 0},
        {"max_connections": "7"},
        {"receive_timeout": 0},
        {"receive_timeout": float("nan")},
        {"receive_timeout": float("inf")},
        {"receive_timeout": "60"},
    ],
)
def test_a_limit_that_is_none_is_an_error_of_the_caller(limits: dict[str, Any]) -> None:
    with pytest.raises(oh.Error, match=next(iter(limits))) as caught:
        serve({"m": identity("FP32")}, **limits)
    assert caught.value.code == "OH552"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@settings(deadline=None)
@given(VALUES, st.integers(1, 300), st.booleans())
def test_the_weight_of_json_is_never_less_than_what_its_values_take(value: Any, times: int, escaped: bool) -> None:
    text = json.dumps([value] * times, ensure_ascii=escaped).encode("utf-8", "surrogatepass").replace(b"\xed", b"?")
    try:
        text.decode()
    except UnicodeDecodeError:
        return
    tracemalloc.start()
    try:
        held = json.loads(text.decode())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del held
    assert peak <= json_weight(text) + 4096


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 4100]), max_size=3).filter(lambda shape: np.prod(shape) < 30_000)


@settings(deadline=None, max_examples=40)
@given(SHAPES)
def test_json_that_is_written_piece_by_piece_is_that_of_the_whole(shape: list[int]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    assert json.loads(json_nested(array, lambda piece: piece.tolist())) == array.tolist()
    assert json.loads(json_elements(array, lambda piece: piece.tolist())) == array.ravel().tolist()
    assert json.loads(json_list(iter(array.ravel().tolist()))) == array.ravel().tolist()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=3), max_size=5), st.sampled_from([0, 1, 1 << 16, 3 << 16]))
def test_long_strings_are_written_as_short_ones(texts: list[str], times: int) -> None:
    values = [text * times for text in texts]
    assert json.loads(json_elements(np.array(values, object), lambda piece: piece.tolist())) == values


def test_an_array_of_nothing_with_many_lists_is_counted(tmp_path: Path) -> None:
    held: list[int] = []
    json_nested(np.empty((5000, 0)), lambda piece: piece.tolist(), held.append)
    assert sum(held) >= 5000 * 56
