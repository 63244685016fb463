"""Recipes: compositions as YAML, word for word as in Python.

    from onnxhybrid import recipe

    recipe.compose("hybrid.yaml").save("hybrid.onnx")

It needs the extra `cli` (pydantic and PyYAML).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from onnxhybrid.errors import Error
from onnxhybrid.model import Model

if TYPE_CHECKING:
    from onnxhybrid.recipe.recipe import Recipe

__all__ = ["compose", "kept", "read", "schema"]


def read(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a YAML file: `.model()` composes what it says; its relative paths begin in the file's folder.

    Args:
        path: the file, or `-` for standard input.

    Raises:
        Error: OH551, the extra `cli` is not installed; OH710, it cannot be read, or is no YAML; OH711, it uses
            aliases, tags, or a key twice; OH712, a word is not known; OH713, a value is of another kind.
    """
    try:
        from onnxhybrid.recipe.recipe import Recipe
    except ModuleNotFoundError as problem:
        raise _missing(problem) from None
    return Recipe.read(path)


def compose(path: str | os.PathLike[str]) -> Model:
    """The Model that a YAML file says, with the recipe in its metadata.

    Args:
        path: the file, or `-` for standard input.

    Raises:
        Error: as of `read`; or what the functions raise, with the line and column before the message.
    """
    return read(path).model()


def kept(model: Model) -> str:
    """The recipe that a model was composed from, as YAML without comments.

    Raises:
        Error: OH714, it was not composed from one, or was changed since.
    """
    from onnxhybrid.recipe import keeping

    return keeping.kept(model)


def schema() -> dict[str, Any]:
    """The JSON schema of recipes, by which editors complete and check them.

    Raises:
        Error: OH551, the extra `cli` is not installed.
    """
    try:
        from onnxhybrid.recipe import recipe
    except ModuleNotFoundError as problem:
        raise _missing(problem) from None
    return recipe.schema()


def _missing(problem: ModuleNotFoundError) -> Exception:
    """The error of a missing extra; the problem itself where something else is missing."""
    name = (problem.name or "").partition(".")[0]
    if name not in ("pydantic", "pydantic_core", "yaml"):
        return problem
    return Error("OH551", f'recipes need {name}: pip install "onnxhybrid[cli]"')
