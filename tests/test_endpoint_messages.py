"""Inference requests and responses as bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.messages import InferRequest, compose_response, object_length, parse_request, raw_request
from onnxhybrid.endpoint.tensors import DATATYPES, Array

INPUT = {"name": "x", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}}
MEMBERS = ["id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", "binary_data_size"]
NEAR_MISSES = st.recursive(
    st.sampled_from([None, True, -1, 0, 2, 2**64, 1.5, "x", "UINT8", "BYTES"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=20,
)


def message(binary: bytes = b"", **members: Any) -> tuple[bytes, int]:
    text = json.dumps({"inputs": [INPUT], **members}).encode()
    return text + binary, len(text)


def test_a_request_is_its_inputs_its_outputs_and_its_id() -> None:
    outputs = [{"name": "y"}, {"name": "z", "parameters": {"binary_data": False}}]
    body, length = message(b"\x07\x08", id="7", outputs=outputs, parameters={"binary_data_output": True})
    request = parse_request(body, length)
    assert request.inputs["x"][1].tolist() == [7, 8]
    assert (request.id, request.outputs, request.binary) == ("7", {"y": True, "z": False}, True)


def test_binary_inputs_follow_each_other_in_the_order_of_the_list() -> None:
    second = {**INPUT, "name": "second", "shape": [1], "parameters": {"binary_data_size": 1}}
    given_as_json = {"name": "json", "shape": [1], "datatype": "FP32", "data": [0.5]}
    body, length = message(b"abc", inputs=[INPUT, given_as_json, second])
    request = parse_request(body, length)
    assert [array.tolist() for _, array in request.inputs.values()] == [[97, 98], [0.5], [99]]


def test_parameters_that_are_not_ours_are_ignored() -> None:
    body, length = message(b"ab", parameters={"sequence_id": 3, "priority": 1, "timeout": 5, "mine": "yes"}, extra=[])
    assert parse_request(body, length).inputs["x"][1].tolist() == [97, 98]


@given(st.binary(max_size=60), st.none() | st.integers(0, 60))
def test_any_bytes_are_a_request_or_a_request_error(body: bytes, length: int | None) -> None:
    _parses_or_is_refused(body, length)


@given(NEAR_MISSES, st.binary(max_size=8))
def test_any_json_is_a_request_or_a_request_error(value: object, binary: bytes) -> None:
    text = json.dumps(value).encode()
    _parses_or_is_refused(text + binary, len(text))
    _parses_or_is_refused(json.dumps({"inputs": [value], "outputs": [value]}).encode(), None)


def _parses_or_is_refused(body: bytes, length: int | None) -> None:
    try:
        parse_request(body, length)
    except RequestError as problem:
        assert (problem.code, problem.status) == ("OH553", 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"inputs": 5}',
        b"{}",
        b'{"inputs": [5]}',
        b'{"inputs": [], "x": NaN}',
        b'{"inputs": [], "x": -Infinity}',
        b'{"inputs": [], "id": "\xff"}',
        b'{"inputs": [], "id": 5}',
        b'{"inputs": [], "parameters": []}',
        b'{"inputs": [], "parameters": {"binary_data_output": 1}}',
        b'{"inputs": [], "outputs": {}}',
        b'{"inputs": [], "outputs": [{}]}',
        b'{"inputs": [], "outputs": [{"name": "y"}, {"name": "y"}]}',
        b'{"inputs": [], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}',
        b'{"inputs": [], "outputs": [{"name": "y", "parameters": {"shared_memory_region": "r"}}]}',
        b"[" * 100_000,
        b'{"inputs": [], "n": ' + b"1" * 5000 + b"}",
        b'\xef\xbb\xbf{"inputs": []}',
        '{"inputs": []}'.encode("utf-16"),
    ],
)
def test_json_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        parse_request(body, None)


@pytest.mark.parametrize("size", [1, 3, 2**70, -1, True, "2", None, 2.0])
def test_a_binary_data_size_that_lies_is_refused(size: object) -> None:
    body, length = message(b"ab", inputs=[{**INPUT, "parameters": {"binary_data_size": size}}])
    with pytest.raises(RequestError):
        parse_request(body, length)


def test_an_input_needs_exactly_one_place_for_its_data() -> None:
    for entry in ({**INPUT, "data": [1, 2]}, {**INPUT, "parameters": {}}):
        body, length = message(b"ab", inputs=[entry])
        with pytest.raises(RequestError, match="exactly one of"):
            parse_request(body, length)


def test_bytes_that_belong_to_no_input_are_refused() -> None:
    body, length = message(b"abc")
    with pytest.raises(RequestError, match="unexpected additional input data"):
        parse_request(body, length)


def test_an_input_that_comes_twice_is_refused() -> None:
    body, length = message(b"abcd", inputs=[INPUT, INPUT])
    with pytest.raises(RequestError, match="already exists"):
        parse_request(body, length)


@pytest.mark.parametrize("values", [["-1"], ["1e1"], ["11"], [" 1"], ["9" * 30], ["²"], ["1", "2"], [""], ["1, 1"]])
def test_a_length_of_the_json_object_that_lies_is_refused(values: list[str]) -> None:
    with pytest.raises(RequestError):
        object_length(values, 10)


def test_the_length_of_the_json_object_may_be_left_out() -> None:
    assert (object_length([], 10), object_length(["10"], 10), object_length(["0"], 10)) == (None, 10, 0)


def test_a_raw_request_takes_its_one_size_that_varies_from_the_body() -> None:
    request = raw_request("x", DATATYPES["UINT16"], (None, 2), b"\1\0\2\0\3\0\4\0")
    assert request.inputs["x"][1].tolist() == [[1, 2], [3, 4]]
    assert raw_request("x", DATATYPES["BYTES"], (None,), "é".encode()).inputs["x"][1].tolist() == ["é"]


@pytest.mark.parametrize(
    ("datatype", "shape", "body"),
    [("FP32", (None, None), b""), ("FP32", (None,), b"abc"), ("FP32", (0, None), b"abcd"), ("BYTES", (None, 1), b"")],
)
def test_a_raw_request_whose_shape_does_not_follow_is_refused(
    datatype: str, shape: tuple[int | None, ...], body: bytes
) -> None:
    with pytest.raises(RequestError):
        raw_request("x", DATATYPES[datatype], shape, body)


def test_a_response_repeats_the_id_and_puts_binary_data_behind_the_json_object() -> None:
    request = InferRequest("ü\ud800", {}, {"y": True, "z": False}, False)
    outputs: dict[str, Array] = {"y": np.array([1.5], np.float32), "z": np.array([[1], [2]], np.int8)}
    body, length = compose_response({"model_name": "m"}, outputs, request)
    assert length is not None
    assert body[length:] == outputs["y"].tobytes()
    assert json.loads(body[:length]) == {
        "id": "ü\ud800",
        "model_name": "m",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}},
            {"name": "z", "datatype": "INT8", "shape": [2, 1], "data": [1, 2]},
        ],
    }
