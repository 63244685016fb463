"""The table behind `onnxhybrid.diagnostics`: one row a code, one module for each hundred, and more for OH5xx."""

from onnxhybrid._codes import (
    audits,
    calibration,
    cluster,
    command_line,
    composition,
    endpoints,
    fitting,
    graph,
    installed,
    leaving,
    portability,
    provider,
    remote,
    reporting,
    run,
    scoring,
    settings,
    spending,
)
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
        leaving.ROWS,
        endpoints.RUN,
        installed.ROWS,
        calibration.ROWS,
        fitting.ROWS,
        settings.ROWS,
        provider.ROWS,
        audits.ROWS,
        cluster.ROWS,
        scoring.ROWS,
        reporting.ROWS,
        command_line.ROWS,
    )
    for row in rows
}
