"""OH64x and OH65x: scoring many rows."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH640",
        "Error",
        "There is no source to score",
        "The path or URL is not there or cannot be read, a folder or pattern has no file that is a table, or the files "
        "are of several kinds, or none of .parquet, .csv, .jsonl and .npz.",
        'oh.score(hybrid, "rows/*.xlsx", "out")',
        "Name a file, a folder or a pattern of files of one of these kinds.",
    ),
    row(
        "OH641",
        "Error",
        "The columns do not fit the inputs",
        "An input has no column, a column is of a type that no value of the input has, a name is mistyped, or the "
        "files of a source have other columns than its first. Nothing was sent.",
        "a source with the column pixels, for an input that is called image",
        'Say which column an input takes, as in columns={"image": "pixels"}; what is the same for all rows goes into '
        "feeds. Lists are axes: an input float32[n, 64] takes lists of 64 numbers.",
    ),
    row(
        "OH642",
        "Error",
        "A value does not fit its input",
        "A null, a list of another length than those of the other rows, a number that the input's type cannot hold, a "
        "text where a number is taken. The message names file, column and row, counted from 0. Nothing was sent.",
        "300 in a column for an input of uint8",
        "Mend or drop the row, or let the model take what is there, as in model.cast.",
    ),
    row(
        "OH643",
        "Error",
        "A file of the source is damaged",
        "It is not of the kind that its name says, a line is broken, or it ends early. The message names the row, "
        "counted from 0, where that is known.",
        "a line of CSV with two values where the first line names three columns",
        "Mend the file, or leave it out.",
    ),
    row(
        "OH644",
        "Error",
        "The key does not tell rows apart",
        "Two rows have one key, a key is null, or the column is no key: it holds floats or lists.",
        'key="day", where a day has many rows',
        "Name a column that differs in each row, or none: then rows are numbered.",
    ),
    row(
        "OH645",
        "Error",
        "The target cannot be used",
        "It is a folder on this machine that can be written to, and holds nothing but what a scoring wrote.",
        'oh.score(hybrid, rows, "s3://bucket/out")',
        "Name a folder that is not there yet; copy it to a store afterwards.",
    ),
    row(
        "OH646",
        "Error",
        "The target holds other results",
        "What is there was scored with another model, another batch, other columns or values, or from another source: "
        "results of both would lie side by side. A source is the same if the files' names, sizes and times are.",
        "a model that was calibrated anew, with yesterday's target",
        "Name another folder, or delete this one.",
    ),
    row(
        "OH647",
        "Error",
        "Another scoring writes to the target",
        "Two processes that write to one folder would score rows twice.",
        "the same command, typed in two terminals",
        "Wait for the other one, end it, or name another folder.",
    ),
    row(
        "OH648",
        "Error",
        "The source was changed while it was scored",
        "A file has another size or time than when it was looked at. What was scored before is of the old source; the "
        "piece that was under way was not written.",
        "a job that appends to the file that is scored",
        "Score a file that nobody writes to, into another target.",
    ),
    row(
        "OH649",
        "Error",
        "An output cannot be a column",
        "A row of the target has one value of each output. This output has no row for each row that is fed, declares "
        "no axes, has another shape than it declares, is of a type that Parquet lacks, or is not there.",
        "an output float32[10], whatever is fed, of a model that is fed rows",
        'Name the outputs that are kept, as in outputs=["label"]; declare, cast or drop the others.',
    ),
    row(
        "OH650",
        "Error",
        "An argument of a scoring has no such value",
        "Batch and workers are whole numbers from 1, patience is seconds, columns and feeds are mappings.",
        "oh.score(hybrid, rows, out, batch=0)",
        "batch=256 is what a call has; workers=16, how many calls are under way; patience=60.",
    ),
    row(
        "OH651",
        "Error",
        "Two columns of the target have one name",
        "The outputs stand beside the key and the columns that are kept, each under its own name.",
        'keep=["label"], for a model with an output that is called label',
        "Rename the output with model.rename, or name the outputs that are kept.",
    ),
    row(
        "OH652",
        "Error",
        "The target cannot be written",
        "The disk is full, or the system refused. Pieces that are whole stay, and nothing else does.",
        "a disk that fills while a source is scored",
        "Make room, and score again: it goes on from what is whole.",
    ),
    row(
        "OH654",
        "Error",
        "The record of a scoring cannot be used",
        "It is a folder, in which each run keeps what remotes answer.",
        'oh.score(hybrid, rows, out, record="calls.json"), which is a file',
        "Name a folder that is not there yet, or one of an earlier run.",
    ),
)
