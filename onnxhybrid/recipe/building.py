"""Makes the Model of a recipe: the functions are called as the recipe says, from the inside out."""

from __future__ import annotations

import copy
import operator
import os
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError

from onnxhybrid import model as models
from onnxhybrid import remote
from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.recipe.forms import Form, Holder, kind_of, model_form
from onnxhybrid.recipe.marked import Marked, Path
from onnxhybrid.recipe.words import COMPARISONS, Word, words

_COMPARED: dict[str, Callable[[Any, Any], Any]] = dict(
    zip(COMPARISONS, (operator.ge, operator.gt, operator.le, operator.lt), strict=True)
)


def checked(recipe: Marked) -> BaseModel:
    """What a recipe says, in the form that it has to have.

    Raises:
        Error: OH712, a word is not known; OH713, a value is of another kind.
    """
    try:
        return model_form().model_validate(recipe.data)
    except ValidationError as problem:
        found = [_fault(recipe, error) for error in problem.errors(include_url=False)]
    path, code, message = min(found, key=lambda fault: (" lacks " in fault[2], recipe.places[fault[0]]))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise Error(code, f"{recipe.at(path)}: {message}{more}")


def _fault(recipe: Marked, error: Any) -> tuple[Path, str, str]:
    """Where a fault is, its code, and what is wrong."""
    told, kind = error.get("ctx", {}), error["type"]
    path = recipe.known(error["loc"])
    owner = f"{path[-1]!r} " if path and isinstance(path[-1], str) else "it "
    if kind == "recipe":
        key = told["key"]
        return (*path, *([] if key is None else [key])), told["code"], owner + told["message"]
    if kind == "missing":
        return path, "OH713", f"{owner}lacks {error['loc'][-1]!r}"
    takes = error["msg"] if kind == "kinds" else f"takes {_TAKES.get(kind, told.get('expected', error['msg']))}"
    given = error["input"]
    shown = f"not {given!r}" if kind == "literal_error" and isinstance(given, str) else f"not {kind_of(given)}"
    return path, "OH713", f"{owner}{takes}, {shown}"


_TAKES = {
    "bool_type": "true or false", "int_type": "a whole number", "string_type": "a text",
    "list_type": "a list", "dict_type": "names with values", "recursion_loop": "fewer levels",
}  # fmt: skip


def built(recipe: Marked, form: BaseModel, folder: FilePath) -> Model:
    """The Model that a recipe says.

    Args:
        recipe: the recipe.
        form: what `checked` gave of it.
        folder: where relative paths begin.

    Raises:
        Error: whatever the functions raise, with the place in the recipe before the message.
    """

    def read(path: str) -> Model:
        return models.load(os.path.join(folder, path))  # noqa: PTH118  # as it is written, links and all

    return _Builder(recipe, words(read)).model(form, ())


class _Builder:
    def __init__(self, recipe: Marked, known: Mapping[str, Word]) -> None:
        self._recipe, self._words = recipe, known

    def model(self, form: BaseModel, path: Path) -> Model:
        """The Model of one word with its arguments."""
        (field,) = form.model_fields_set
        name = str(type(form).model_fields[field].alias)
        word, given = self._words[name], getattr(form, field)
        inner = (*path, name)
        made: Model = self._called(word, self._arguments(given, inner), inner)
        return made

    def _called(self, word: Word, arguments: dict[str, Any], path: Path) -> Any:
        limits = {sign: arguments.pop(sign) for sign in COMPARISONS if word.score and sign in arguments}
        try:
            made = word.make(**arguments)
            for sign, limit in limits.items():  # one, of a score
                made = _COMPARED[sign](made, limit)
            return made
        except Error as problem:
            raise self._placed(problem, path) from None

    def _placed(self, problem: Error, path: Path) -> Error:
        """An error with the place in the recipe before its message; its kind, code and details stay."""
        placed = copy.copy(problem)
        placed.message = f"{self._recipe.at(path)}: {problem.message}"
        placed.args = (f"[{problem.code}] {placed.message}",)
        return placed

    def _arguments(self, form: Any, path: Path) -> dict[str, Any]:
        """The arguments that are given, by name."""
        if isinstance(form, dict):
            return {name: self._value(value, (*path, name)) for name, value in form.items()}
        given = [(name, str(field.alias)) for name, field in type(form).model_fields.items()]
        fields = {alias: name for name, alias in given if name in form.model_fields_set}
        return {alias: self._value(getattr(form, name), (*path, alias)) for alias, name in fields.items()}

    def _value(self, value: Any, path: Path) -> Any:
        if isinstance(value, Holder):
            (name,) = type(value).model_fields
            return self._instance(name, getattr(value, name), (*path, name))
        if isinstance(value, Form):
            return self._instance(type(value).__name__, value, path)
        if isinstance(value, BaseModel):
            return self.model(value, path)
        if isinstance(value, list):
            return [self._value(each, (*path, place)) for place, each in enumerate(value)]
        if isinstance(value, dict):
            return {name: self._value(each, (*path, name)) for name, each in value.items()}
        return value

    def _instance(self, name: str, form: Form, path: Path) -> Any:
        """An instance of a class, such as `oh.TensorSpec`."""
        kind = getattr(remote, name, None) or getattr(models, name)
        try:
            return kind(**self._arguments(form, path))
        except Error as problem:
            raise self._placed(problem, path) from None
