"""The reference is whole: every public name, with its methods, and each argument as the function has it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import onnxhybrid as oh
from docs.site import reference

PAGES = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.md")}
PACKAGES = {name for name in oh.__all__ if inspect.ismodule(getattr(oh, name))}
_ARGUMENTS = re.compile(r"^Args:\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def headings() -> list[str]:
    return [name for text in PAGES.values() for name in re.findall(r"^## `(.*)`$", text, re.MULTILINE)]


def test_the_pages_are_what_the_package_says() -> None:
    assert reference.pages() == PAGES, "python -m docs.site.reference writes them again"


def test_every_public_name_has_an_entry_or_a_page() -> None:
    assert {name for name in oh.__all__ if name not in PACKAGES} <= {name.removeprefix("oh.") for name in headings()}
    assert {name.removesuffix(".md") for name in PAGES} >= PACKAGES


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_name_of_a_public_package_has_an_entry(package: str) -> None:
    for name in getattr(oh, package).__all__:
        assert {f"oh.{package}.{name}", f"oh.{name}"} & set(headings()), name


@pytest.mark.parametrize("name", sorted(set(oh.__all__) - PACKAGES))
def test_the_entry_of_a_class_names_each_public_method(name: str) -> None:
    kind = getattr(oh, name)
    if isinstance(kind, type):
        (entry,) = re.findall(rf"^## `oh\.{name}`\n(.*?)^<!--", "\n".join(PAGES.values()), re.MULTILINE | re.DOTALL)
        own = [base for base in kind.__mro__ if base.__module__.startswith("onnxhybrid")]
        public = {member for base in own for member in vars(base) if not member.startswith("_")}
        assert public <= set(re.findall(r"`\.(\w+)`", entry))


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function and method with arguments that its docstring tells of."""
    for name in sorted(set(oh.__all__) - PACKAGES):
        value = getattr(oh, name)
        if inspect.isfunction(value):
            yield name, value
        elif isinstance(value, type):
            yield from ((f"{name}.{m}", f) for m, f in inspect.getmembers(value, inspect.isfunction) if f.__doc__)
    for package in sorted(PACKAGES):
        yield from ((f"{package}.{name}", getattr(getattr(oh, package), name)) for name in getattr(oh, package).__all__)


TOLD = {name: function for name, function in functions() if _ARGUMENTS.search(inspect.getdoc(function) or "")}


@pytest.mark.parametrize("name", sorted(TOLD))
def test_a_docstring_tells_of_arguments_that_the_function_has(name: str) -> None:
    found = _ARGUMENTS.search(inspect.getdoc(TOLD[name]) or "")
    assert found
    told = [
        part.strip(" *")
        for entry in re.findall(r"^    ([\w*]+(?:, [\w*]+)*):", found[1], re.MULTILINE)
        for part in entry.split(",")
    ]
    takes = inspect.signature(TOLD[name]).parameters
    named = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
    assert told
    assert named or set(told) <= set(takes)
