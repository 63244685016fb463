"""In which order ONNX Runtime computes the nodes of a graph, at each of its levels of optimization."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

import onnxhybrid as oh
from onnxhybrid.compose.overlap.overlap import sequential

LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)
MODES = (onnxruntime.ExecutionMode.ORT_SEQUENTIAL, onnxruntime.ExecutionMode.ORT_PARALLEL)


def options(level: object = LEVELS[3], mode: object = MODES[0]) -> onnxruntime.SessionOptions:
    made = onnxruntime.SessionOptions()
    made.graph_optimization_level, made.execution_mode = level, mode
    made.log_severity_level = 4
    return made


def computed(model: oh.Model, feeds: Mapping[str, Any], options: onnxruntime.SessionOptions, folder: Path) -> list[str]:
    """The names of the main graph's nodes in the order in which they were computed, without those of barriers."""
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    oh.register(options)
    session = onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)
    session.run(None, feeds)
    events = json.loads(Path(session.end_profiling()).read_text())
    kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith("_kernel_time")]
    names = [event["name"].removesuffix("_kernel_time") for event in sorted(kernels, key=lambda event: event["ts"])]
    barriers = {node.name for node in model.skeleton.graph.node} - {
        n.name for n in sequential(model).skeleton.graph.node
    }
    return [name for name in names if name not in barriers or name.endswith("/await")]
