"""The command line: `onnxhybrid VERB`, a file a verb, each a thin face of a function of the rooms below.

It needs the extra `cli`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; None takes those of the process.

    Returns:
        The exit code: 0, 1 for a failure or a finding, 2 for words that are not known, 130 after Ctrl-C.
    """
    try:
        from onnxhybrid.cli.program import run
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in ("typer", "click", "rich", "shellingham"):
            raise
        print(f'error: [OH551] the command line needs {problem.name}: pip install "onnxhybrid[cli]"', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return run(sys.argv[1:] if arguments is None else list(arguments))
