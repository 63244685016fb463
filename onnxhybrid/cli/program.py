"""The program around the verbs: finding them, ending with the right code, and one message for whatever fails."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from onnxhybrid import __version__
from onnxhybrid.cli import streams
from onnxhybrid.cli.usage import Usage, wrong
from onnxhybrid.cli.verbs import VERBS
from onnxhybrid.errors import Error
from onnxhybrid.suggesting import near

_PROGRAM = "onnxhybrid"
_SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,  # its page of help takes as long to import as all the rest
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 110},
}
_WRONG_WORDS: type[Exception] = typer.BadParameter.__mro__[2]
"""Typer's exceptions about what was typed, which come from click or from a copy of it."""

_INTERRUPTED = 130
_TRACEBACK = "ONNXHYBRID_TRACEBACK"


class Verbs(TyperGroup):
    """Verbs that are imported when they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them.

        Raises:
            Usage: there is no such verb.
        """
        if cmd_name in VERBS:
            return _command(cmd_name)
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        raise wrong(f"there is no verb {cmd_name!r}{near(cmd_name, VERBS)}")

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in the help."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.text) for name, verb in VERBS.items()])


def _command(name: str) -> Any:
    """The command of a verb."""
    verb = VERBS[name]
    loaded = verb.load()
    app = typer.Typer(add_completion=False, **_SETTINGS)
    if isinstance(loaded, dict):
        app.callback(help=verb.text)(lambda: None)
        for inner, function in loaded.items():
            app.command(inner)(function)
    else:
        app.command(name)(loaded)
    command = typer.main.get_command(app)
    command.name = name
    return command


def _version(wanted: bool) -> None:
    if wanted:
        streams.answer(f"{_PROGRAM} {__version__}")
        raise typer.Exit


def _program() -> Any:
    app = typer.Typer(cls=Verbs, add_completion=True, **_SETTINGS)

    @app.callback(
        epilog="Exit codes: 0 done; 1 a failure, told on standard error, or a finding; 2 wrong words; 130 Ctrl-C."
    )
    def onnxhybrid(
        version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Say the version."),
    ) -> None:
        """One ONNX file, part of it in the cloud: compose local models with remote ones, check, run and deploy them."""

    return typer.main.get_command(app)


def run(arguments: list[str]) -> int:
    """Run the program.

    Args:
        arguments: the words after its name.

    Returns:
        The exit code.
    """
    try:
        with streams.prepared():
            code = _program()(arguments or ["--help"], prog_name=_PROGRAM, standalone_mode=False)
        return _ended(code, arguments)
    except Usage as problem:
        streams.fail(problem.error)
        return 2
    except _WRONG_WORDS as problem:
        streams.fail(_told(problem))
        return 2
    except streams.Closed:
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except SystemExit as problem:  # of the completion of shells
        return problem.code if isinstance(problem.code, int) else 0
    except Error as problem:
        streams.fail(problem)
    except Exception as problem:  # noqa: BLE001  # no traceback for people
        streams.fail(_unforeseen(problem))
    return 1


def _ended(code: object, arguments: list[str]) -> int:
    """The exit code of what a verb returned; without any word the help alone is no success."""
    if not arguments:
        return 2
    return code if isinstance(code, int) else 0


def _told(problem: Any) -> Error:
    """The error of words that Typer refuses."""
    message = str(problem.format_message()).strip().rstrip(".")
    if near_ones := getattr(problem, "possibilities", None):
        message = f"{problem.message.rstrip('.')}: did you mean {min(near_ones)!r}?"
    context = getattr(problem, "ctx", None)
    where = context.command_path if context is not None else _PROGRAM
    return Error("OH700", f"{message[:1].lower()}{message[1:]} ({where} --help says what there is)")


def _unforeseen(problem: Exception) -> Error:
    if os.environ.get(_TRACEBACK):
        traceback.print_exception(problem, file=sys.stderr)
    hint = f"; set {_TRACEBACK}=1 to see where"
    return Error("OH729", f"{type(problem).__name__}: {problem}{hint}")
