"""Turns what ONNX Runtime raises into the one exception tree."""

from __future__ import annotations

import json
import re
from typing import Any

from onnxhybrid.diagnostics import REGISTER
from onnxhybrid.errors import Error
from onnxhybrid.library import error_of

_CODED = re.compile(r"\[(OH\d{3})\] ")
_TWICE = "Domain already set in registry"
_DETAILS = ' {"attempts":'


_OURS = frozenset({"onnxhybrid", "onnxruntime", "onnxruntime_extensions", "numpy", "ml_dtypes"})
"""The packages whose code runs within a run; anything else that raises there is a signal handler."""


def translated(problem: Exception) -> Exception:
    """What comes out of a run where `problem` was raised: the `Error` for an exception of ONNX Runtime.

    A failure of the operator library keeps its code and details. What a signal handler raised is itself.
    """
    return problem if isinstance(problem, Error) or _is_foreign(problem) else _error(problem)


def _is_foreign(problem: Exception) -> bool:
    """Whether other code than that of a run was running when it was raised."""
    at = problem.__traceback__
    while at is not None:
        if str(at.tb_frame.f_globals.get("__name__")).partition(".")[0] not in _OURS:
            return True
        at = at.tb_next
    return False


def _error(problem: Exception) -> Error:
    text = str(problem)
    found = _CODED.search(text)
    if _TWICE in text:
        return Error(
            "OH542",
            "two operator libraries of sess_options hold one domain; oh.Session and oh.register register onnxhybrid's "
            "by themselves: give options without register_custom_ops_library(oh.library_path())",
        )
    if found is None or found[1] not in REGISTER:
        return Error("OH540", " ".join(text.split()))
    message, details = _split(text[found.end() :])
    return error_of({**details, "code": found[1], "message": message})


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """The library's message, and the details that it ends in as JSON.

    What a server said stands before them, so the last match is the library's own.
    """
    start = text.rfind(_DETAILS)
    if start >= 0:
        try:
            details, _ = json.JSONDecoder().raw_decode(text[start + 1 :])
            return text[:start], details
        except ValueError:
            pass
    return text.partition("' Status Message: ")[0], {}  # a node of standard operators that is called by its code
