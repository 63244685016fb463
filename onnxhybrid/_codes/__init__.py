"""The table behind `onnxhybrid.diagnostics`: one row a code, one module for each hundred, and more for OH5xx."""

from onnxhybrid._codes import command_line, composition, endpoints, graph, installed, portability, remote, run, spending
from onnxhybrid._codes.diagnostic import Diagnostic, Severity

__all__ = ["REGISTER", "Diagnostic", "Severity"]

REGISTER: dict[str, Diagnostic] = {
    row.code: row
    for rows in (
        graph.ROWS,
        composition.ROWS,
        remote.ROWS,
        endpoints.REMOTE,
        portability.ROWS,
        run.ROWS,
        spending.ROWS,
        endpoints.RUN,
        installed.ROWS,
        command_line.ROWS,
    )
    for row in rows
}
