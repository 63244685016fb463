"""Writes the tables of protocols, the end of docs/operator.md: `python -m docs.site.protocols`."""

from __future__ import annotations

import onnxhybrid.library as library

_BATCHES = {
    "whole": "one request, which cannot be cut",
    "request": "one request, or one for each slice of `batch` rows, side by side",
    "row": "one request a row, side by side",
}


def reference() -> str:
    """The protocol table as Markdown: the end of docs/operator.md."""
    sections = []
    for name, row in library.protocols().items():
        dtypes = ", ".join(f"{ours} → {theirs}" for ours, theirs in row["dtypes"].items())
        options = ", ".join(f"{option} ({dtype})" for option, dtype in row["options"].items())
        no_group = f" No group names: {', '.join(row['own_fields'])}." if row["own_fields"] else ""
        required = ", ".join((*row["required"], *row["required_options"]))
        sections.append(
            f"## Protocol `{name}`\n\nSchemes: {', '.join(row['schemes'])}. Token: `{row['authentication']}`. "
            f"Attributes of its own: {', '.join(row['attributes']) or 'none'}. Options, which may be inputs: "
            f"{options or 'none'}. Required of both: {required or 'none'}. A batch is {_BATCHES[row['batch']]}."
            f"{no_group}\n\n"
            f"Types: {dtypes}.\n"
        )
    return "\n".join(sections)


if __name__ == "__main__":
    print(reference(), end="")
