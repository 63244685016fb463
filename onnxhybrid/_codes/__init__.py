"""The table behind `onnxhybrid.diagnostics`: one row a code, one module for each hundred, and two for OH5xx."""

from onnxhybrid._codes import audits, composition, endpoints, graph, installed, portability, remote, run
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
        endpoints.RUN,
        installed.ROWS,
        audits.ROWS,
    )
    for row in rows
}
