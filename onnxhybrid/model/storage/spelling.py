r"""Texts that are no UTF-8. ONNX asks for it, and some programs write what their author's system speaks.

ONNX Runtime runs such files, and Python gets bytes where it expects text. So the names of a model that is read are
spelled with an escape for each byte that is no UTF-8 (`\xb2`), everywhere alike; what nothing but people read, the
documentation and the metadata, stays as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from onnx import ModelProto, StringStringEntryProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.texts import shown

_KEPT = frozenset({"doc_string", "metadata_props", "external_data"})  # a path may be no UTF-8, too
_OURS = "onnxhybrid."


def spell(model: ModelProto, data: bytes) -> None:
    """Make a text of each name that is none.

    Args:
        model: the model, which is changed.
        data: what it was read from.

    Raises:
        ModelError: OH100, a name would then be called like another.
    """
    if _is_utf8(data):
        return
    spelled: dict[str, bytes] = {}
    clashes = set()
    for message, field, position, value in _texts(model):
        if not isinstance(value, bytes):
            continue
        text = shown(value)
        if spelled.setdefault(text, value) != value:
            clashes.add(text)
        if position is None:
            setattr(message, field, text)
        else:
            getattr(message, field)[position] = text
    clashes.update(value for *_, value in _texts(_parse(data)) if isinstance(value, str) and value in spelled)
    if clashes:
        raise ModelError("OH100", f"a name is no UTF-8, and {min(clashes)!r}, as it would be spelled, is taken")


def _parse(data: bytes) -> ModelProto:
    model: ModelProto = ModelProto.FromString(data)
    return model


def _texts(message: Message) -> Iterator[tuple[Message, str, int | None, str | bytes]]:
    """Each name in a message and the messages inside it: its message, field, position where it has one, and text."""
    for field, value in message.ListFields():
        if field.name in _KEPT:
            ours = [entry for entry in value if _is_ours(entry)] if field.name == "metadata_props" else []
            for entry in ours:
                yield from _texts(entry)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _texts(inner)
        elif field.type == FieldDescriptor.TYPE_STRING:
            if isinstance(value, (str, bytes)):
                yield message, field.name, None, value
            else:
                for position, entry in enumerate(list(value)):
                    yield message, field.name, position, entry


def _is_ours(entry: StringStringEntryProto) -> bool:
    return isinstance(entry.key, str) and entry.key.startswith(_OURS)


def _is_utf8(data: bytes) -> bool:
    try:
        _strict().FromString(data)
    except (DecodeError, UnicodeDecodeError):
        return False
    return True


@functools.cache
def _strict() -> Any:
    """ModelProto in protobuf's third syntax, whose parser looks at every text, many times faster than Python could."""
    file = descriptor_pb2.FileDescriptorProto()
    ModelProto.DESCRIPTOR.file.CopyToProto(file)
    file.syntax = "proto3"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(ModelProto.DESCRIPTOR.full_name))
