"""Files that people take for models: the error says what they are and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import dense

MODEL: bytes = dense("d", "x", "y", (64, 64)).to_proto().SerializeToString()


def _zip(*names: str) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, MODEL)
        return file.getvalue()


def _tar() -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            info = tarfile.TarInfo("model.onnx")
            info.size = len(MODEL)
            archive.addfile(info, io.BytesIO(MODEL))
        return file.getvalue()


def _npy() -> bytes:
    with io.BytesIO() as file:
        np.save(file, np.ones(3))
        return file.getvalue()


def _npz() -> bytes:
    with io.BytesIO() as file:
        np.savez(file, a=np.ones(3))
        return file.getvalue()


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


def _saved_model() -> bytes:
    """SavedModel{schema_version: 1, meta_graphs: [{meta_info_def: {tags: "serve"}}]}."""
    return bytes.fromhex("0801") + b"\x12\x0b\x0a\x09\x22\x05serve" + b"\x12\x00"


PROTO = onnx.ModelProto.FromString(MODEL)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456\n"
KINDS: dict[str, tuple[bytes, str]] = {
    "a Git LFS pointer": (LFS, "git lfs pull"),
    "a git-annex pointer": (b"/annex/objects/SHA256E-s1--aa.onnx\n", "git annex get"),
    "a web page": (b"\n<!DOCTYPE html>\n<html><head></head></html>", "web page"),
    "a web page in capitals": (b"<HTML lang='de'>" + b"\xc3\xa4" * 3000, "web page"),
    "a web page of another encoding": ("<!doctype html><title>Gerät".encode("latin-1"), "web page"),
    "a web page in UTF-16": ("<html><body>".encode("utf-16"), "web page"),
    "a part of a web page": (b"<body>Sign in</body>", "web page"),
    "an XML error": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
    "an answer in JSON": (b'{"error": "not found"}', "JSON"),
    "a text": (b"Not Found\n", "a text"),
    "a text with umlauts": ("Gerät nicht gefunden\n".encode(), "a text"),
    "a long text that is cut inside a letter": (b"x" + "ä".encode() * 3000, "a text"),
    "a text in UTF-16": ("Gerät".encode("utf-16"), "a text"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(50), "image"),
    "a zip": (_zip("model.onnx"), "unpack"),
    "TorchScript": (_zip("archive/data.pkl", "archive/version"), "PyTorch"),
    "an archive of Keras": (_zip("metadata.json", "config.json", "model.weights.h5"), "Keras"),
    "arrays": (_npz(), "npz"),
    "an array": (_npy(), "npy"),
    "a tar": (_tar(), "tar archive"),
    "gzip": (gzip.compress(MODEL), "gzip"),
    "bzip2": (bz2.compress(MODEL), "bzip2"),
    "xz": (lzma.compress(MODEL), "xz"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(50), "zstd"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), "7z"),
    "safetensors": (_safetensors(), "safetensors"),
    "a pickle": (pickle.dumps({"w": [1.0]}), "pickle"),
    "an old pickle of PyTorch": (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2), "pickle"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5"),
    "GGUF": (b"GGUF\3\0\0\0" + bytes(90), "GGUF"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(90), "TensorFlow Lite"),
    "ONNX Runtime's format": (b"\x18\0\0\0ORTM" + bytes(90), "ort"),
    "a SavedModel": (_saved_model(), "tf2onnx"),
    "a tensor": (numpy_helper.from_array(np.ones((2, 3), np.float32), "input_0").SerializeToString(), "tensor"),
    "a tensor of typed numbers": (
        helper.make_tensor("x", TensorProto.INT64, [2], [1, 2]).SerializeToString(),
        "tensor",
    ),
    "a model as protobuf's text": (onnx.serialization.registry.get("textproto").serialize_proto(PROTO), "textproto"),
    "a model in ONNX's text": (b'<ir_version: 8, opset_import: ["" : 17]>\ng (float[1] x) => () {}', "onnxtxt"),
    "a model in JSON": (onnx.serialization.registry.get("json").serialize_proto(PROTO), "JSON"),
    "zeros": (bytes(5000), "zeros"),
    "half of a model": (MODEL[: len(MODEL) // 2], "cut short"),
    "a model without its last byte": (MODEL[:-1], "cut short"),
    "nothing": (b"", "empty"),
    "a program": (b"\x7fELF\2\1\1" + bytes(90), "program"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_error_says_what_the_file_is(tmp_path: Path, kind: str) -> None:
    content, told = KINDS[kind]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    for use in (oh.load, oh.Session):
        with pytest.raises(oh.ModelError) as caught:
            use(path)
        assert caught.value.code == "OH100"
        assert told in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_folder_is_told_apart(tmp_path: Path) -> None:
    for use in (oh.load, oh.Session):
        with pytest.raises(oh.ModelError, match=r"\[OH100\] .*a folder; give the path of the \.onnx file"):
            use(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no such files")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path / "pipe.onnx", Path("/dev/zero")):
        for use in (oh.load, oh.Session):
            with pytest.raises(oh.ModelError, match="OH100"):
                use(path)


def test_a_foreign_file_of_gigabytes_takes_no_memory_of_its_size(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:  # one field of 6 GiB that no model has, a hole in the file
        file.write(b"\xa2\x06" + b"\x80\x80\x80\x80\x18")
        file.truncate(7 + 6 * 2**30)
    tracemalloc.start()
    try:
        with pytest.raises(oh.ModelError, match="OH100"):
            oh.load(path)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


@given(length=st.integers(1, len(MODEL) - 1))
def test_a_model_that_was_cut_anywhere_is_a_coded_error_or_whole_up_to_there(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "model.onnx"
    path.write_bytes(MODEL[:length])
    try:
        assert oh.load(path).outputs
    except oh.ModelError as problem:
        assert problem.code == "OH100"  # a cut at a field's end leaves a message
        assert "cut short" in str(problem)
