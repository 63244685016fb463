"""Reports in the format of static analysis, which code hosts show beside the files.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from onnxhybrid.diagnostics import REGISTER, Finding, Report

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(reports: Mapping[str, Report], *, version: str = "") -> dict[str, Any]:
    """Reports as one SARIF 2.1.0 document.

    Args:
        reports: what `validate` found, by the paths of the files.
        version: the version of onnxhybrid, where it is to be told.

    Returns:
        The document, as `json.dumps` takes it.
    """
    found = [(path, finding) for path, report in reports.items() for finding in report]
    codes = sorted({finding.code for _, finding in found})
    driver = {"name": "onnxhybrid", "rules": [_rule(code) for code in codes]}
    if version:
        driver["version"] = version
    results = [_result(path, finding, codes.index(finding.code)) for path, finding in found]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    row = REGISTER[code]
    return {
        "id": code,
        "shortDescription": {"text": row.title},
        "fullDescription": {"text": row.explanation},
        "help": {"text": f"Example: {row.example}\nWhat to do: {row.fix}"},
        "defaultConfiguration": {"level": row.severity},
    }


def _result(path: str, finding: Finding, rule: int) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}}}
    if finding.where:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.where}]
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": finding.message},
        "locations": [location],
    }


def _uri(path: str) -> str:
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix())
