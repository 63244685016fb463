"""What one release did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Row:
    """A row of the table.

    Attributes:
        release: its version.
        suite: hybrids of the set of all bindings that give what they give here, and how many there are.
        own: hybrids of many opsets and types: with the newest's bits, with others, and those that do not run.
        models: by corpus, how many models were asked for, and how many of them load.
        wrong: by corpus, the models that `validate` judges otherwise: a name, what it says, what the release says.
        unknown: whether `validate` does not know the release.
    """

    release: str
    suite: tuple[int, int] = (0, 0)
    own: tuple[int, int, int] = (0, 0, 0)
    models: dict[str, tuple[int, int]] = field(default_factory=dict)
    wrong: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    unknown: bool = False

    @property
    def wrong_count(self) -> int:
        """How many models are judged otherwise."""
        return sum(map(len, self.wrong.values()))
