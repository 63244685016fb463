"""The table behind `onnxhybrid.diagnostics`: one row a code, one module for each hundred, and two for OH5xx."""

from onnxhybrid._codes import composition, graph, installed, portability, remote, run
from onnxhybrid._codes.diagnostic import Diagnostic, Severity

__all__ = ["REGISTER", "Diagnostic", "Severity"]

REGISTER: dict[str, Diagnostic] = {
    row.code: row for rows in (graph, composition, remote, portability, run, installed) for row in rows.ROWS
}
