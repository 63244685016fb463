"""The codec between numpy arrays and the tensors of KServe v2."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxhybrid.endpoint.failure import RequestError
from onnxhybrid.endpoint.tensors import (
    DATATYPES,
    TensorHeader,
    decode_binary,
    decode_json,
    encode_binary,
    encode_json,
    header_of,
)
from onnxhybrid.model.dtypes import numpy_dtype

Array = npt.NDArray[Any]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[TensorHeader, Array]:
    """A header and an array of any datatype and shape; floats are any bits, so NaNs too."""
    datatype, shape = draw(st.sampled_from(sorted(DATATYPES))), draw(SHAPES)
    header = TensorHeader("x", DATATYPES[datatype], shape)
    if datatype == "BYTES":
        return header, draw(hnp.arrays(object, shape, elements=TEXTS))
    dtype = numpy_dtype(DATATYPES[datatype].dtype)
    if datatype == "BOOL":
        return header, draw(hnp.arrays(bool, shape))
    bits = draw(hnp.arrays(np.uint8, header.count * dtype.itemsize))
    return header, bits.view(dtype).reshape(shape)


def same(one: Array, other: Array) -> bool:
    if one.dtype == object:
        return one.shape == other.shape and one.tolist() == other.tolist()
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@given(tensors())
def test_decoding_the_binary_form_gives_the_same_bits(tensor: tuple[TensorHeader, Array]) -> None:
    header, array = tensor
    assert same(decode_binary(header, encode_binary(array)), array)


@given(tensors())
def test_decoding_the_json_form_gives_the_same_bits_where_json_has_the_numbers(
    tensor: tuple[TensorHeader, Array],
) -> None:
    header, array = tensor
    with np.errstate(invalid="ignore"):
        carried = array.dtype.kind not in "fV" or np.isfinite(array).all()
    if not carried:
        with pytest.raises(RequestError, match="NaN or an infinity"):
            encode_json(array)
        return
    assert same(decode_json(header, json.loads(json.dumps(encode_json(array)))), array)


@given(tensors(), st.integers(1, 7))
def test_a_tensor_that_lies_unaligned_in_its_message_is_decoded_to_aligned_memory(
    tensor: tuple[TensorHeader, Array], offset: int
) -> None:
    header, array = tensor
    decoded = decode_binary(header, memoryview(bytes(offset) + encode_binary(array))[offset:])
    assert same(decoded, array)
    assert decoded.flags.aligned


@given(st.sampled_from(sorted(DATATYPES)), SHAPES, st.binary(max_size=40))
def test_any_bytes_decode_to_a_tensor_of_the_header_or_a_request_error(
    datatype: str, shape: tuple[int, ...], data: bytes
) -> None:
    header = TensorHeader("x", DATATYPES[datatype], shape)
    try:
        array = decode_binary(header, data)
    except RequestError as problem:
        assert problem.status == 400
    else:
        assert array.shape == shape
        assert encode_binary(array) == data


@given(st.sampled_from(sorted(DATATYPES)), SHAPES, JSON_VALUES)
def test_any_json_decodes_to_a_tensor_of_the_header_or_a_request_error(
    datatype: str, shape: tuple[int, ...], data: object
) -> None:
    header = TensorHeader("x", DATATYPES[datatype], shape)
    try:
        array = decode_json(header, data)
    except RequestError as problem:
        assert problem.status == 400
    else:
        assert array.shape == shape


@given(JSON_VALUES, JSON_VALUES, JSON_VALUES)
def test_any_json_is_a_header_or_a_request_error(name: object, datatype: object, shape: object) -> None:
    try:
        header_of(name, datatype, shape)
    except RequestError as problem:
        assert problem.status == 400


def test_nested_json_is_read_in_row_major_order() -> None:
    header = header_of("x", "INT32", [2, 2])
    assert decode_json(header, [[1, 2], [3, 4]]).tolist() == decode_json(header, [1, 2, 3, 4]).tolist()


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("UINT8", [256]),
        ("UINT8", [-1]),
        ("INT64", [2**63]),
        ("FP16", [65520]),
        ("FP32", [1e39]),
        ("FP64", [10**400]),
        ("FP64", [float("inf")]),
    ],
)
def test_a_json_number_out_of_range_is_refused_and_not_wrapped(datatype: str, data: list[object]) -> None:
    with pytest.raises(RequestError, match="out of the range"):
        decode_json(header_of("x", datatype, [1]), data)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT32", [1.0]),
        ("INT32", ["1"]),
        ("INT32", [True]),
        ("FP32", ["1"]),
        ("BOOL", [1]),
        ("BYTES", [1]),
        ("FP32", [None]),
    ],
)
def test_a_json_element_of_another_type_is_refused_and_not_converted(datatype: str, data: list[object]) -> None:
    with pytest.raises(RequestError, match=f"no {datatype}"):
        decode_json(header_of("x", datatype, [1]), data)


@pytest.mark.parametrize("shape", [[-1], [True], [1.0], ["1"], [2**63], 3, None, [1] * 65])
def test_a_shape_that_is_none_is_refused(shape: object) -> None:
    with pytest.raises(RequestError, match="shape"):
        header_of("x", "FP32", shape)


def test_a_huge_declared_shape_costs_nothing() -> None:
    for shape in ([2**62, 2**62], [2**62, 0, 2**62]):
        with pytest.raises(RequestError):
            decode_binary(header_of("x", "FP64", shape), b"")


@pytest.mark.parametrize(
    "data", [b"\x05\x00\x00\x00abc", b"\x01\x00", b"\xff\xff\xff\xffabc", b"", b"\0\0\0\0\0\0\0\0", b"\x01\0\0\0\xff"]
)
def test_a_string_whose_bytes_are_not_one_utf_8_element_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="string"):
        decode_binary(header_of("x", "BYTES", [1]), data)


def test_a_bool_byte_other_than_0_and_1_is_refused() -> None:
    with pytest.raises(RequestError, match="neither 0 nor 1"):
        decode_binary(header_of("x", "BOOL", [2]), b"\x01\x02")


def test_a_lone_surrogate_in_json_is_refused() -> None:
    with pytest.raises(RequestError, match="surrogate"):
        decode_json(header_of("x", "BYTES", [1]), json.loads(r'["\ud800"]'))
