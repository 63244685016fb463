"""Run by the interpreter of a release: which models of a list a session takes, a line of JSON each.

loading.py MODELS RESULTS FIRST LIBRARY
"""

from __future__ import annotations

import json
import sys

import onnxruntime


def main(models: str, results: str, first: int, library: str) -> None:
    """Open a session for each model from the one at a place on; an empty text is a session."""
    onnxruntime.set_default_logger_severity(4)
    with open(models, encoding="utf-8") as file, open(results, "a", encoding="utf-8") as lines:
        for path in json.load(file)[first:]:
            lines.write(json.dumps(problem(path, library)) + "\n")
            lines.flush()


def problem(path: str, library: str) -> str:
    """What a session says against a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        options.register_custom_ops_library(library)
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  # the classes of onnxruntime's errors have no base of their own
        return str(error)[:2000] or "refused"
    return ""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
