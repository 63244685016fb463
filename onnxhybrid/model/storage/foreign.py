"""What a file is that holds no model, and what to do about it."""

from __future__ import annotations

import codecs

from google.protobuf.message import DecodeError
from onnx import TensorProto

HEAD = 4096
"""How many bytes of a file's beginning are looked at."""

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs.github.com/",
        "the file is a pointer of Git LFS, which stands in the model's place; fetch the model with git lfs pull",
    ),
    (
        b"version https://hawser.github.com/",
        "the file is a pointer of Git LFS, which stands in the model's place; fetch the model with git lfs pull",
    ),
    (
        b"/annex/objects/",
        "the file is a pointer of git-annex, which stands in the model's place; fetch the model with git annex get",
    ),
    (b"\x1f\x8b", "the file is compressed with gzip; decompress it first"),
    (b"BZh", "the file is compressed with bzip2; decompress it first"),
    (b"\xfd7zXZ\0", "the file is compressed with xz; decompress it first"),
    (b"\x28\xb5\x2f\xfd", "the file is compressed with zstd; decompress it first"),
    (b"\x04\x22\x4d\x18", "the file is compressed with lz4; decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", "the file is a 7z archive; unpack it and give the path of the .onnx file in it"),
    (b"Rar!\x1a\x07", "the file is a RAR archive; unpack it and give the path of the .onnx file in it"),
    (
        b"\x89HDF\r\n\x1a\n",
        "the file is HDF5, as Keras saves models; export the model to ONNX, for example with tf2onnx",
    ),
    (b"GGUF", "the file is GGUF, the format of llama.cpp, which holds no ONNX graph; look for an ONNX export"),
    (b"\x93NUMPY", "the file is an array of numpy (.npy) and no model"),
    (b"ftrt", "the file is an engine of TensorRT; give the .onnx file that it was built from"),
    (b"\x7fELF", "the file is a program or library and no model"),
    (b"MZ", "the file is a program or library and no model"),
    (b"\xcf\xfa\xed\xfe", "the file is a program or library and no model"),
    (b"\x89PNG\r\n", "the file is an image and no model"),
    (b"\xff\xd8\xff", "the file is an image and no model"),
    (b"GIF8", "the file is an image and no model"),
    (b"%PDF-", "the file is a PDF document and no model"),
    (b"<?xml", "the file is an XML document, as OpenVINO saves graphs and servers send errors; give an .onnx file"),
)

_PYTORCH = "export the model with torch.onnx.export"
_CONTROLS = frozenset(map(chr, (*range(0x20), 0x7F))) - frozenset("\t\n\r\f")
_PAGES = ("<!doctype html", "<html", "<head", "<body", "<meta", "<title", "<script", "<!--")
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def recognized(head: bytes, size: int) -> str | None:
    """What a file is, from its first bytes, and what to do; None where it is nothing known.

    Args:
        head: the first bytes, at least `HEAD` where the file has so many.
        size: the file's size in bytes.
    """
    for beginning, told in _BEGINNINGS:
        if head.startswith(beginning):
            return told
    return _flatbuffer(head) or _archive(head) or _weights(head, size) or _message(head) or _text(head)


def _flatbuffer(head: bytes) -> str | None:
    if head[4:8] == b"ORTM":
        return "the file is of ONNX Runtime's own format (.ort), which cannot be composed; give the .onnx file of it"
    if head[4:8] == b"TFL3":
        return "the file is a model of TensorFlow Lite; convert it to ONNX, for example with tf2onnx"
    return None


def _archive(head: bytes) -> str | None:
    if head[257:262] == b"ustar":
        return "the file is a tar archive; unpack it and give the path of the .onnx file in it"
    if not head.startswith((b"PK\3\4", b"PK\5\6")):
        return None
    if b".pkl" in head or b"/byteorder" in head or b"/version" in head[:100]:
        return f"the file is a zip archive as PyTorch saves models; {_PYTORCH}"
    if b".npy" in head[:200]:
        return "the file is a zip archive of numpy arrays (.npz) and no model"
    if b"metadata.json" in head[:200] or b"config.json" in head[:200]:
        return "the file is a zip archive as Keras saves models; export the model to ONNX, for example with tf2onnx"
    return "the file is a zip archive; unpack it and give the path of the .onnx file in it"


def _weights(head: bytes, size: int) -> str | None:
    """Files of tensors alone."""
    if len(head) > 8 and head[8:9] in b"{ " and 2 <= int.from_bytes(head[:8], "little") <= size - 8:
        return "the file is safetensors, which holds weights and no graph; export the model to ONNX"
    if len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return f"the file is a pickle of Python, as PyTorch and scikit-learn save models; {_PYTORCH}, or with skl2onnx"
    return None


def _message(head: bytes) -> str | None:
    """Other messages of protobuf, and cut ones."""
    if head and not any(head):
        return "the file holds zeros, as a download that was broken off leaves them; fetch it again"
    if head.startswith(b"\x08\x01\x12"):
        return "the file seems to be a SavedModel of TensorFlow; convert its folder to ONNX with tf2onnx"
    if head[:1] == b"\x08" and len(head) > 1 and 3 <= head[1] < 0x20:
        return "the file begins as an ONNX model, but was cut short or damaged; fetch or export it again"
    return None


def is_tensor(data: bytes) -> bool:
    """Whether the bytes are one tensor, as the files beside ONNX's test models are (input_0.pb)."""
    try:
        tensor = TensorProto.FromString(data)
    except DecodeError:
        return False
    return bool(tensor.data_type) and any(field.name.endswith("_data") for field, _ in tensor.ListFields())


def _text(head: bytes) -> str | None:
    text = _decoded(head)
    start = (head.decode("latin-1") if text is None else text).lstrip()
    if start.lower().startswith(_PAGES):
        return "the file is a web page, as a link to a page about the model gives it; download the model itself"
    if text is None:
        return None
    if start.startswith(("{", "[")):
        return "the file is a text in JSON and no ONNX model"
    if start.startswith(("ir_version", "graph {", "graph{")):
        return (
            "the file is a model as protobuf's text; read it with onnx.load(path, format='textproto') and onnx.save it"
        )
    if start.startswith("<") and "ir_version" in start:
        return (
            "the file is a model in ONNX's text syntax; read it with onnx.load(path, format='onnxtxt') and onnx.save it"
        )
    return "the file is a text and no ONNX model"


def _decoded(head: bytes) -> str | None:
    """The text that the first bytes are, up to a character that was cut; None where they are none."""
    encoding = "utf-16" if head.startswith(_MARKS) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head[:HEAD])
    except UnicodeDecodeError:
        return None
    return text if text and _CONTROLS.isdisjoint(text) else None
