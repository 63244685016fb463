"""How far long work is, and what is left: on standard error, where it is a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

from onnxhybrid.cli import streams


@contextlib.contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[], None]]:
    """What is called after each piece of the work.

    Args:
        text: what is done.
        total: how many pieces there are.
    """
    if not streams.on_terminal(sys.stderr) or total < 2:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, no_color=not streams.coloured(sys.stderr))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)


_LARGE = 64 << 20
_SECONDS = 0.2  # between two looks


@contextlib.contextmanager
def growing(text: str, total: int, size: Callable[[], int]) -> Iterator[None]:
    """What is written meanwhile is looked at, if it is much.

    Args:
        text: what is done.
        total: about how many bytes there will be.
        size: how many there are; it is asked in another thread.
    """
    if not streams.on_terminal(sys.stderr) or total < _LARGE:
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console, over = Console(stderr=True, no_color=not streams.coloured(sys.stderr)), threading.Event()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(text, total=total)

        def watch() -> None:
            while not over.wait(_SECONDS):
                bar.update(task, completed=size())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
