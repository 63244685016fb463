"""What may stand where in a recipe, as pydantic models, which are made of the signatures of the functions."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, ForwardRef, Literal, Optional, Union

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from onnxhybrid.model import Model
from onnxhybrid.recipe.words import COMPARISONS, Argument, Word, arguments_of, words
from onnxhybrid.suggesting import near

_MODEL = ForwardRef("ModelForm")
_IN_PYTHON_ALONE = (np.integer, np.dtype, os.PathLike, type)
"""Kinds of values that no YAML holds; beside each another stands."""


class Form(BaseModel):
    """Arguments by name; a class for each function is made of its signature."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
    bare: ClassVar[str | None] = None
    bare_model: ClassVar[bool] = False
    compared: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """The arguments by name, where they are known."""
        names = [str(field.alias) for field in cls.model_fields.values()]
        if cls.bare is not None and (
            not isinstance(given, dict) or (cls.bare_model and len(given) == 1 and cls.bare not in given)
        ):
            given = {cls.bare: given}
        if not isinstance(given, dict):
            raise _problem("OH713", f"takes its arguments by name ({', '.join(names)}), {_not(given)}")
        for name in given:
            if name not in names:
                raise _problem("OH712", f"has no argument {name!r}{near(name, names)}", name)
        if cls.compared and len(made := [sign for sign in COMPARISONS if sign in given]) != 1:
            what = "only one" if made else "a number"
            raise _problem("OH713", f'gives a score, which a judge compares with {what}, as in ">=": 0.8')
        return given

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        reference = handler(schema)
        if cls.bare is not None:
            full = handler.resolve_ref_schema(reference)
            own = dict(full)
            inner = own["properties"][cls.bare]
            full.clear()
            full.update({"anyOf": [inner, own]}, **({"title": own["title"]} if "title" in own else {}))
        return reference


class Holder(BaseModel):
    """A value of a class of onnxhybrid where others may stand, too: `{Credential: gpu}`."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _problem(code: str, message: str, key: str | None = None) -> PydanticCustomError:
    # Braces of the message are none of a template.
    return PydanticCustomError("recipe", "{message}", {"message": message, "code": code, "key": key})


def _not(value: Any) -> str:
    return f"not {kind_of(value)}"


def kind_of(value: Any) -> str:
    """What a value is, without its text, which may be a token by mistake."""
    names = {bool: "true or false", str: "a text", int: "a whole number", float: "a number", list: "a list"}
    return "nothing" if value is None else names.get(type(value), "a mapping")


def _kind(kind: Any) -> Any:
    """The form of an annotation."""
    members = _members(kind)
    form = _single(members[0]) if len(members) == 1 else _either(members)
    return Optional[form] if _is_optional(kind) else form  # noqa: UP045  # what a form is, only pydantic knows


def _is_optional(kind: Any) -> bool:
    return typing.get_origin(kind) in (Union, types.UnionType) and type(None) in typing.get_args(kind)


def _members(kind: Any) -> list[Any]:
    """The kinds of a union that YAML can hold, without None; the kind itself where it is no union."""
    if typing.get_origin(kind) not in (Union, types.UnionType):
        return [kind]
    found = [each for each in typing.get_args(kind) if each is not type(None)]
    return [each for each in found if (typing.get_origin(each) or each) not in _IN_PYTHON_ALONE]


def _single(kind: Any) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Model or origin is collections.abc.Callable:  # what is called with a model gives one
        return _MODEL
    if _is_class(kind):
        return class_form(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        value = inner[1]
        return dict[str, _any() if value in (Any, object) else _kind(value)]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return list[_kind(inner[0])]  # type: ignore[misc]
    if kind is float:
        return _NUMBER
    return Any if kind is object else kind


def _number(given: Any) -> int | float:
    """A number as it stands: a whole one stays one, as in Python."""
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return given
    raise _problem("OH713", f"takes a number, {_not(given)}")


_NUMBER = Annotated[Any, BeforeValidator(_number), WithJsonSchema({"type": "number"})]


def _is_class(kind: Any) -> bool:
    """Whether it is one of onnxhybrid's classes of values."""
    return bool(dataclasses.is_dataclass(kind))


def _any() -> Any:
    from onnxhybrid.model import Input

    return _either([Input, Any])


@functools.cache
def class_form(kind: Any) -> Any:
    """The form of a class's arguments, such as those of `oh.TensorSpec`."""
    arguments = arguments_of(kind.__init__, ("self",))
    required = [name for name, argument in arguments.items() if argument.required]
    first = next(iter(arguments))
    bare = first if required in ([], [first]) and _members(arguments[first].kind)[0] is str else None
    return _form(kind.__name__, arguments, bare, (kind.__doc__ or "").partition("\n")[0])


@functools.cache
def _holder(kind: Any) -> type[Holder]:
    fields: dict[str, Any] = {kind.__name__: (class_form(kind), ...)}
    return create_model(f"an {kind.__name__}", __base__=Holder, **fields)


def _either(members: Sequence[Any]) -> Any:
    """One of several kinds, told apart by what stands there, so that a fault is told of the one that was meant."""
    forms: dict[str, Any] = {}
    for member in members:
        if _is_class(member):
            forms[member.__name__] = _holder(member)
        else:
            forms[_tag(member)] = Any if member is Any else _single(member)
    told = [_TOLD.get(tag, f"{{{tag}: …}}") for tag in forms]
    message = f"takes {' or '.join(told)}"
    tags = frozenset(forms)

    def choose(value: Any) -> str | None:
        return _chosen(tags, value)

    branches = tuple(Annotated[form, Tag(tag)] for tag, form in forms.items())
    return Annotated[
        Union[branches],  # noqa: UP007
        Discriminator(choose, custom_error_type="kinds", custom_error_message=message),
    ]


_TOLD = {
    "text": "a text", "number": "a number", "bool": "true or false", "list": "a list", "model": "a model",
    "names": "names with values", "any": "a value",
}  # fmt: skip


def _tag(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return "any"
    if kind is Model:
        return "model"
    if kind is bool:
        return "bool"
    if kind in (int, float):
        return "number"
    if kind is str or origin is Literal:
        return "text"
    return "names" if isinstance(origin, type) and issubclass(origin, Mapping) else "list"


def _chosen(tags: frozenset[str], value: Any) -> str | None:
    """The tag of the kind that a value is meant to be; None for a value of none of them."""
    if isinstance(value, Holder):
        return next(iter(type(value).model_fields))
    if isinstance(value, dict):
        own = next(iter(value)) if len(value) == 1 else None
        found = own if own in tags else next((tag for tag in ("model", "names") if tag in tags), None)
    else:
        kinds = {bool: "bool", int: "number", float: "number", str: "text", list: "list"}
        found = kinds.get(type(value))
    return found if found in tags else "any" if "any" in tags else None


_CLASSES = {"&": "and", "|": "or", "~": "not"}
"""What the forms of words are called in the schema that have no letters."""


def _form(name: str, arguments: Mapping[str, Argument], bare: str | None, text: str, **marks: bool) -> type[Form]:
    fields: dict[str, Any] = {}
    for place, (key, argument) in enumerate(arguments.items()):
        kind = _kind(argument.kind)
        # Names of arguments may be those of pydantic's own methods.
        field = Field(... if argument.required else argument.default, alias=key, description=argument.text)
        fields[f"f{place}"] = (kind, field)
    made = create_model(_CLASSES.get(name, name), __base__=Form, __doc__=text, **fields)
    made.bare = bare
    for mark, value in marks.items():
        setattr(made, mark, value)
    return made


def _word_form(word: Word) -> Any:
    if word.names:
        return dict[str, _MODEL]  # type: ignore[valid-type]
    arguments = dict(word.arguments)
    if word.score:
        from onnxhybrid.model import Input

        arguments |= {sign: Argument(float | Input, False) for sign in COMPARISONS}
    one_model = word.bare is not None and word.arguments[word.bare].kind is Model
    return _form(word.name, arguments, word.bare, word.text, compared=word.score, bare_model=one_model)


class _OneWord(BaseModel):
    """A model: one word with its arguments."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="before")
    @classmethod
    def _one(cls, given: Any) -> Any:
        names = [str(field.alias) for field in cls.model_fields.values()]
        if isinstance(given, str):
            raise _problem("OH713", "takes a model, and a file is written as load: FILE")
        if not isinstance(given, dict) or not given:
            raise _problem("OH713", f"takes a model, such as load: FILE, {_not(None if given == {} else given)}")
        for name in given:
            if name not in names:
                raise _problem("OH712", f"has no word {name!r}{near(name, names)}", name)
        if len(given) > 1:
            first, second, *_ = given
            raise _problem(
                "OH712", f"holds {first!r} and {second!r}, and a model is one word: put one into the other", second
            )
        return given


@functools.cache
def model_form() -> type[BaseModel]:
    """The form of a model, which is that of a whole recipe."""
    fields: dict[str, Any] = {}
    for place, word in enumerate(words().values()):
        fields[f"f{place}"] = (_word_form(word), Field(None, alias=word.name, description=word.text or None))
    made = create_model("ModelForm", __base__=_OneWord, **fields)
    made.model_rebuild(_types_namespace={"ModelForm": made})
    return made
