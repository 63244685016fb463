"""What is known of a tensor before the run: the inputs that can change it, and what of it is fixed whatever is fed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

Names = frozenset[str]
NOTHING: Names = frozenset()

UNDEFINED = "undefined"
"""The element type of a tensor whose type is not known."""

_LARGEST = 1 << 62

MOST_ELEMENTS = 64
"""Elements of a tensor that are followed one by one: shapes, axes, conditions."""


class Size(NamedTuple):
    """A whole number: its value where it is the same whatever is fed, otherwise the inputs that can change it.

    Attributes:
        value: the number; None where it is not known, be it that nothing can change it.
        names: the inputs that can change it; none where the value is known.
    """

    value: int | None
    names: Names = NOTHING


Sizes = tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """What is known of one tensor.

    Two tensors never share a Flow unless they are equal in every run: joins of branches ask by identity.

    Attributes:
        data: the inputs that can change its elements.
        shape: the inputs that can change its sizes or its rank.
        sizes: its sizes; None where its rank is not known.
        elements: its elements in order, where they are few whole numbers or truth values; None otherwise.
        items: the values that it holds where it is a sequence, or what the call of a ticket gives; None otherwise.
        dtype: its element type; "undefined" where that is not known.
    """

    data: Names = NOTHING
    shape: Names = NOTHING
    sizes: Sizes | None = None
    elements: Sizes | None = None
    items: tuple[Flow, ...] | None = None
    dtype: str = UNDEFINED

    @property
    def all(self) -> Names:
        """The inputs that can change anything of it."""
        return self.data | self.shape

    @property
    def truth(self) -> bool | None:
        """The one truth value that it holds, where that is the same whatever is fed."""
        return None if (number := self.number) is None else bool(number)

    @property
    def number(self) -> int | None:
        """The one number that it holds, where that is the same whatever is fed."""
        return self.elements[0].value if self.elements is not None and len(self.elements) == 1 else None

    @property
    def numbers(self) -> list[int] | None:
        """All that it holds, where that is the same whatever is fed."""
        known = [element.value for element in self.elements or ()]
        return None if self.elements is None or None in known else [n for n in known if n is not None]

    def plus(self, names: Names) -> Flow:
        """The same, which these inputs can change, too; numbers that are known stay known."""
        if not names:
            return self
        sizes = None if self.sizes is None else tuple(_plus(size, names) for size in self.sizes)
        shape = self.shape | names if sizes is None else of_sizes(sizes)
        elements = None if self.elements is None else tuple(_plus(each, names) for each in self.elements)
        data = self.data | names if elements is None else of_sizes(elements)
        items = None if self.items is None else tuple(item.plus(names) for item in self.items)
        return Flow(data, shape, sizes, elements, items, self.dtype)

    def of(self, dtype: str) -> Flow:
        """The same of another element type."""
        return replace(self, dtype=dtype)


def shaped(data: Names, sizes: Sizes, dtype: str = UNDEFINED, elements: Sizes | None = None) -> Flow:
    """A tensor of these sizes."""
    if elements is not None and len(elements) > MOST_ELEMENTS:
        data, elements = data | of_sizes(elements), None
    return Flow(data, of_sizes(sizes), sizes, elements, None, dtype)


def opaque(names: Names, dtype: str = UNDEFINED) -> Flow:
    """A value of which it is known only which inputs can change it."""
    return Flow(names, names, None, None, None, dtype)


def of_sizes(sizes: Iterable[Size]) -> Names:
    """The inputs that can change any of these numbers."""
    found = NOTHING
    for _, names in sizes:
        if names and names is not found:
            found = names if not found else found | names
    return found


def union(sets: Iterable[Names]) -> Names:
    """All of these inputs."""
    found = NOTHING
    for names in sets:
        if names and names is not found:
            found = names if not found else found | names
    return found


def everything(flows: Iterable[Flow | None]) -> Names:
    """The inputs that can change anything of these tensors."""
    return union(flow.all for flow in flows if flow is not None)


def known(values: Iterable[int]) -> Sizes:
    """Numbers that nothing changes."""
    return tuple(Size(value) for value in values)


def product(sizes: Sequence[Size]) -> Size:
    """The product of sizes."""
    count = 1
    for size in sizes:
        if size.value is None:
            return Size(None, of_sizes(sizes))
        count *= size.value
    return Size(count) if abs(count) < _LARGEST else Size(None)


def joined(one: Flow, other: Flow) -> Flow:
    """What is known of a tensor that is one of two, where nothing but an input that both name decides which."""
    if one is other or one == other:
        return one
    sizes = _joined(one.sizes, other.sizes)
    elements = _joined(one.elements, other.elements) if sizes is not None else None
    shape = one.shape | other.shape if sizes is None else of_sizes(sizes)
    data = one.data | other.data if elements is None else of_sizes(elements)
    items = None
    if one.items is not None and other.items is not None and len(one.items) == len(other.items):
        items = tuple(map(joined, one.items, other.items))
    elif one.items is not None or other.items is not None:  # what was inside is no longer known one by one
        data |= everything((*(one.items or ()), *(other.items or ())))
    return Flow(data, shape, sizes, elements, items, one.dtype if one.dtype == other.dtype else UNDEFINED)


def _plus(size: Size, names: Names) -> Size:
    return size if size.value is not None else Size(None, size.names | names)


def chosen(one: Flow, other: Flow, deciding: Names) -> Flow:
    """What is known of a tensor that is one of two, where these inputs decide which."""
    if one is other:
        return one
    if not deciding:
        return joined(one, other)
    # A number that both have is the same whatever is decided; `plus` leaves those alone, and joins keep no others.
    return joined(one, other).plus(deciding)


def _joined(one: Sizes | None, other: Sizes | None) -> Sizes | None:
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(
        a if a == b and a.value is not None else Size(None, a.names | b.names) for a, b in zip(one, other, strict=True)
    )
