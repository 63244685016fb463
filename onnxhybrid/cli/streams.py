"""What is written where: answers on standard output, all else on standard error, colours on terminals alone."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from onnxhybrid.errors import Error


class Closed(Exception):
    """Whoever read our output has gone, and has seen enough."""


def answer(text: str) -> None:
    """Write a part of the answer.

    Raises:
        Closed: nobody reads it any more.
        Error: OH704, it cannot be written.
    """
    try:
        print(_visible(text), flush=True)
    except BrokenPipeError:
        _drop_rest()
        raise Closed from None
    except OSError as problem:
        _drop_rest()
        raise Error("OH704", f"standard output cannot be written: {problem.strerror}") from None


def _drop_rest() -> None:
    """Let what the interpreter flushes at its end go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer_json(value: Any) -> None:
    """Write the answer as one JSON document of the standard: what is no number, NaN and infinities, is null."""
    answer(json.dumps(plain(value), indent=2, allow_nan=False))  # of ASCII: nothing in it steers a terminal


def plain(value: Any) -> Any:
    """A value as JSON has it; arrays and numpy's numbers too."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def tell(text: str) -> None:
    """Write something about the work on standard error."""
    with contextlib.suppress(OSError, ValueError):  # a message that nobody reads is no failure
        print(_visible(text), file=sys.stderr, flush=True)


def fail(problem: Error) -> None:
    """Write an error: one line with its code."""
    message = _visible(" ".join(problem.message.split()))
    with contextlib.suppress(OSError, ValueError):
        print(f"{_red('error:')} [{problem.code}] {message}", file=sys.stderr, flush=True)


def _visible(text: str) -> str:
    """A text without what steers a terminal, which a model of a stranger's may hold."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def coloured(stream: TextIO) -> bool:
    """Whether a stream is shown by something that has colours and wants them."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and on_terminal(stream)


def on_terminal(stream: TextIO) -> bool:
    """Whether somebody looks at a stream while it is written."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _red(text: str) -> str:
    return f"\x1b[1;31m{text}\x1b[0m" if coloured(sys.stderr) else text


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(f"warning: {' '.join(str(message).split())}")


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Let any text be written, whatever the terminal's encoding, and warnings of ours be one line each."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages below, to which nobody at a command line can do anything
        warnings.filterwarnings("default", message=r"\[OH\d")
        warnings.showwarning = _warn
        yield
