"""The columns of a source and their types; those of text are what all of its values can be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc

from onnxhybrid.errors import Error
from onnxhybrid.model import TensorSpec
from onnxhybrid.scoring.plan import SourceFile
from onnxhybrid.scoring.sources.csv import Csv
from onnxhybrid.scoring.sources.jsonl import Jsonl
from onnxhybrid.scoring.sources.reading import KINDS

_ROWS = 8192
_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"


def columns_of(files: Sequence[SourceFile]) -> pa.Schema:
    """The columns of a source, as its first file that has some shows them.

    Raises:
        Error: OH640, the files are of several kinds, or none has a column; OH643, one cannot be read.
    """
    if len(kinds := {file.kind for file in files}) > 1:
        raise Error("OH640", f"the source has files of {' and '.join(sorted(kinds))}; score them one kind at a time")
    for file in files:
        with closing(KINDS[file.kind](file)) as table:
            schema = table.schema()
        if len(schema):
            twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
            if twice is not None:
                raise Error("OH641", f"{file.name}: two columns are called {twice!r}")
            return schema
    raise Error("OH640", f"{files[0].name} has no columns" if len(files) == 1 else "no file of the source has columns")


def typed(
    files: Sequence[SourceFile], schema: pa.Schema, names: Sequence[str], fed: Mapping[str, TensorSpec]
) -> pa.Schema:
    """The types of these columns.

    Args:
        files: the source, of one kind.
        schema: its columns, as its beginning shows them.
        names: those that are read.
        fed: the columns that are fed, with an input of theirs.

    Raises:
        Error: OH643, a file cannot be read.
    """
    if files[0].kind == "csv":
        others = [name for name in names if name not in fed]
        whole = _whole_numbers(files, others)
        kinds = {name: pa.int64() if name in whole else pa.string() for name in others}
        kinds |= {name: _csv_type(spec) for name, spec in fed.items()}
        return pa.schema([(name, kinds[name]) for name in names])
    if files[0].kind == "jsonl":
        return _united(files, names)
    return pa.schema([schema.field(name) for name in names])


def _csv_type(spec: TensorSpec) -> pa.DataType:
    if spec.dtype == "str":
        return pa.string()
    if spec.dtype == "bool":
        return pa.bool_()
    if spec.dtype == "uint64":
        return pa.uint64()
    return pa.int64() if "int" in spec.dtype else pa.float64()


def _whole_numbers(files: Sequence[SourceFile], names: Collection[str]) -> set[str]:
    """The columns of CSV of which each value is a whole number, written as one: not 007, which is a name."""
    left = set(names)
    for file in files:
        if not left:
            break
        with closing(Csv(file)) as table:
            present = [name for name in names if name in table.schema().names]
            wanted = pa.schema([(name, pa.string()) for name in present])
            for span in table.spans(_ROWS) if present else ():
                for batch in table.rows(span, wanted, _ROWS):
                    for name in left & set(present):
                        if not pc.all(pc.match_substring_regex(batch.column(name), _WHOLE)).as_py():
                            left.discard(name)
    return left


def _united(files: Sequence[SourceFile], names: Sequence[str]) -> pa.Schema:
    """The types that hold the values of every line."""
    found = pa.schema([])
    for file in files:
        with closing(Jsonl(file)) as table:
            for span in table.spans(_ROWS):
                own = table.found(span, list(names))
                try:
                    found = pa.unify_schemas([found, own], promote_options="permissive")
                except pa.ArrowException as problem:
                    raise Error(
                        "OH642", f"{file.name}, from row {span.first} on: a column has values of another kind than "
                        f"before: {problem}"
                    ) from None  # fmt: skip
    kinds = {field.name: field.type for field in found}
    kinds = {name: pa.string() if pa.types.is_null(kind) else kind for name, kind in kinds.items()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in names])
