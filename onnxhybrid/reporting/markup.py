"""The pieces of HTML that sections are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnxhybrid.reporting.texts import breakable, plain

MOST_ROWS = 200
"""The most rows of a table that a page shows."""


def section(name: str, title: str, *content: str) -> str:
    """A section with its heading."""
    inside = "\n".join(filter(None, content))
    heading = f'<h2 id="{name}-title">{title}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-title">\n{heading}\n{inside}\n</section>'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of a text."""
    named = f' class="{kind}"' if kind else ""
    return f"<p{named}>{plain(text, 1200)}</p>"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], rest: str = "") -> str:
    """A table, whose first column names its rows. On a narrow screen each row is a block of its own.

    Args:
        caption: what it holds; part of the page, as the heads are.
        heads: of the columns.
        rows: of the cells; all of them are texts of the model's, and None is a dash.
        rest: where the rows are to be found that a page does not show.
    """
    listed = list(rows)
    body = "\n".join(_row(heads, row) for row in listed[:MOST_ROWS])
    more = len(listed) - MOST_ROWS
    note = paragraph(f"{more} more rows are not shown{': ' if rest else ''}{rest}.", "note") if more > 0 else ""
    columns = "".join(f'<th role="columnheader" scope="col">{head}</th>' for head in heads)
    return (
        f'<table role="table"><caption>{caption}</caption>\n<thead role="rowgroup"><tr role="row">{columns}</tr>'
        f'</thead>\n<tbody role="rowgroup">\n{body}\n</tbody></table>{note}'
    )


def _row(heads: Sequence[str], row: Sequence[object]) -> str:
    first, *others = row
    cells = "".join(_cell(head, cell) for head, cell in zip(heads[1:], others, strict=True))
    return f'<tr role="row"><th role="rowheader" scope="row">{breakable(first)}</th>{cells}</tr>'


def _cell(head: str, cell: object) -> str:
    if cell is None or cell == "":
        return f'<td role="cell" class="none" data-head="{plain(head)}"><span>–</span></td>'
    return f'<td role="cell" data-head="{plain(head)}"><span>{breakable(cell)}</span></td>'


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """Names with what they are."""
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{breakable(value)}</dd></div>' for name, value in rows)}</dl>"


def folded(summary: str, content: str) -> str:
    """What is shown when it is asked for."""
    return f"<details><summary>{summary}</summary>\n{content}\n</details>"
