"""`Recipe`: a composition as a text of YAML."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.recipe.building import built, checked
from onnxhybrid.recipe.forms import model_form
from onnxhybrid.recipe.keeping import keep
from onnxhybrid.recipe.marked import Marked, dumped, marked

_LARGEST = 16 << 20

_COMPARED_PARTS = {"cascade": ("local", "remote"), "fallback": ("primary", "backup")}


@dataclass(frozen=True)
class Recipe:
    """A composition as YAML: the functions of onnxhybrid by their names, with their arguments by theirs.

    `Recipe.read(path)` and `Recipe.of(text)` make one; `model()` composes what it says.

    Attributes:
        text: the YAML, without comments.
        folder: where relative paths in it begin.
    """

    text: str
    folder: Path
    _said: Marked
    _form: BaseModel

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """The recipe in a file, whose relative paths begin in its folder; `-` reads standard input.

        Raises:
            Error: OH710, it cannot be read, or is no YAML; OH711 to OH713, it says what no recipe can.
        """
        file = os.fspath(path)
        if file == "-":
            return cls.of(_decoded(sys.stdin.buffer.read(_LARGEST + 1), "standard input"), name="standard input")
        try:
            with open(file, "rb") as stream:
                data = stream.read(_LARGEST + 1)
        except (OSError, ValueError) as problem:
            said = problem.strerror if isinstance(problem, OSError) else problem
            raise Error("OH710", f"{file} cannot be read: {said}") from None
        return cls.of(_decoded(data, file), folder=Path(file).parent, name=file)

    @classmethod
    def of(cls, text: str, *, folder: str | os.PathLike[str] = ".", name: str = "the recipe") -> Recipe:
        """The recipe in a text.

        Args:
            text: YAML.
            folder: where relative paths begin.
            name: what it is called in messages.

        Raises:
            Error: as of `read`.
        """
        said = marked(text, name)
        form = checked(said)
        return cls(dumped(said.data), Path(folder), said, form)

    def model(self) -> Model:
        """The Model that it says, with the recipe in its metadata.

        Raises:
            Error: whatever the functions raise, with the line and column before the message.
        """
        return keep(built(self._said, self._form, self.folder), self.text)

    def sides(self) -> dict[str, Model]:
        """The local and the remote model of a cascade, or the two of a fallback, by their names; else none.

        Raises:
            Error: as of `model`.
        """
        ((word, arguments),) = self._said.data.items()
        return {name: self._part(arguments[name]) for name in _COMPARED_PARTS.get(word, ())}

    def _part(self, data: Any) -> Model:
        text = dumped(data)
        part = Recipe.of(text, folder=self.folder, name=self._said.name)
        return built(part._said, part._form, part.folder)


def _decoded(data: bytes, name: str) -> str:
    if len(data) > _LARGEST:
        raise Error("OH710", f"{name} has more than {_LARGEST >> 20} MiB, and is no recipe")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise Error("OH710", f"{name} is no text in UTF-8: byte {problem.start} is none") from None


def schema() -> dict[str, Any]:
    """The JSON schema of recipes, by which editors complete and check them."""
    found = _any_of(model_form().model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A recipe of onnxhybrid", **found}


def _any_of(told: Any) -> Any:
    """A schema in which what fits one of several forms may fit another, too, as a value of any kind does."""
    if isinstance(told, dict):
        return {"anyOf" if name == "oneOf" else name: _any_of(each) for name, each in told.items()}
    return [_any_of(each) for each in told] if isinstance(told, list) else told
