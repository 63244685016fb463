"""Mutations of protobuf messages by their structure, so that what comes of them still parses and means something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st
from onnx import ModelProto

from tests.hostile.bases import BASES
from tests.hostile.cases import NUMBERS, TEXTS

Draw = Callable[[st.SearchStrategy[Any]], Any]

_MESSAGE, _TEXT, _BYTES = FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES
_REAL = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)
_MOST = 400
"""Entries that a field which is doubled may have: what is looked for is meaning, not size."""


@st.composite
def mutated(draw: Draw) -> bytes:
    """A sound model in which some fields were changed, cleared, doubled, moved, or taken from another model."""
    proto: ModelProto = draw(st.sampled_from(BASES))()
    for _ in range(draw(st.integers(1, 4))):
        draw(st.sampled_from(_CHANGES))(draw, proto)
    data: bytes = proto.SerializeToString()
    if draw(st.integers(0, 7)) == 0 and data:  # now and then it does not parse
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 4)) :]
    return data


def _places(message: Message) -> Iterator[tuple[Message, FieldDescriptor]]:
    """Every field that is set, in every message."""
    for field, value in message.ListFields():
        yield message, field
        if field.type == _MESSAGE:
            for inner in value if _many(field) else [value]:
                yield from _places(inner)


def _many(field: FieldDescriptor) -> bool:
    return isinstance(field.default_value, list)


def _place(draw: Draw, proto: Message) -> tuple[Message, FieldDescriptor] | None:
    places = list(_places(proto))
    return places[draw(st.integers(0, len(places) - 1))] if places else None


def _scalar(draw: Draw, field: FieldDescriptor, proto: Message) -> Any:
    """A value that the field takes: odd, or one that stands elsewhere in the model."""
    if field.type in (_TEXT, _BYTES):
        text = draw(st.one_of(st.sampled_from([*_texts(proto), *TEXTS]), st.text(max_size=8)))
        return text if field.type == _TEXT else text.encode("utf-8", "surrogatepass")
    if field.type in _REAL:
        return draw(st.sampled_from((0.0, -0.0, 1.0, 3e38, float("inf"), float("nan"))))
    if field.enum_type is not None:
        return draw(st.sampled_from([value.number for value in field.enum_type.values]))
    narrow = field.type == FieldDescriptor.TYPE_INT32
    numbers = [number for number in NUMBERS if not narrow or abs(number) < 1 << 31]
    value = draw(st.one_of(st.integers(-3, 40), st.sampled_from(numbers)))
    return abs(value) if field.type == FieldDescriptor.TYPE_UINT64 else value


def _texts(proto: Message) -> Sequence[str]:
    found = {
        text
        for message, field in _places(proto)
        if field.type == _TEXT
        for text in (getattr(message, field.name) if _many(field) else [getattr(message, field.name)])
    }
    return sorted(found)


def _set(draw: Draw, proto: Message) -> None:
    """Another value for a scalar."""
    if not (place := _place(draw, proto)) or place[1].type == _MESSAGE:
        return
    message, field = place
    if not _many(field):
        setattr(message, field.name, _scalar(draw, field, proto))
        return
    values = getattr(message, field.name)
    values[draw(st.integers(0, len(values) - 1))] = _scalar(draw, field, proto)


def _clear(draw: Draw, proto: Message) -> None:
    if place := _place(draw, proto):
        place[0].ClearField(place[1].name)


def _double(draw: Draw, proto: Message) -> None:
    if (place := _place(draw, proto)) and _many(place[1]) and len(getattr(place[0], place[1].name)) < _MOST:
        values = getattr(place[0], place[1].name)
        values.extend([*values])


def _drop(draw: Draw, proto: Message) -> None:
    if (place := _place(draw, proto)) and _many(place[1]):
        values = getattr(place[0], place[1].name)
        del values[draw(st.integers(0, len(values) - 1))]


def _turn(draw: Draw, proto: Message) -> None:
    """Entries in another order."""
    if (place := _place(draw, proto)) and _many(place[1]):
        values = getattr(place[0], place[1].name)
        turned = [*values][::-1]
        del values[:]
        values.extend(turned)


def _add(draw: Draw, proto: Message) -> None:
    """A field that was not set."""
    if not (place := _place(draw, proto)):
        return
    message = place[0]
    field = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
    if field.type == _MESSAGE:
        getattr(message, field.name).add() if _many(field) else getattr(message, field.name).SetInParent()
    elif _many(field):
        getattr(message, field.name).append(_scalar(draw, field, proto))
    else:
        setattr(message, field.name, _scalar(draw, field, proto))


def _graft(draw: Draw, proto: Message) -> None:
    """A message of this or another model, in the place of one of its kind."""
    if not (place := _place(draw, proto)) or place[1].type != _MESSAGE:
        return
    message, field = place
    others = [
        (other, theirs)
        for other, theirs in [*_places(proto), *_places(draw(st.sampled_from(BASES))())]
        if theirs.message_type == field.message_type and theirs.type == _MESSAGE
    ]
    if not others:
        return
    other, theirs = others[draw(st.integers(0, len(others) - 1))]
    given = getattr(other, theirs.name)
    copy = type(given[0] if _many(theirs) else given).FromString(
        (given[0] if _many(theirs) else given).SerializeToString()
    )
    target = getattr(message, field.name)
    (target.add() if _many(field) else target).CopyFrom(copy)


_CHANGES = (_set, _set, _set, _clear, _double, _drop, _turn, _add, _graft)
