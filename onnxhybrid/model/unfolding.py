"""How large a model is once its functions are unfolded, as ONNX Runtime and onnx's inference do at once.

Ten functions that call each other ten times each are 1.9 KB in a file, and ten thousand million nodes.
"""

from __future__ import annotations

import graphlib
from collections import Counter

from onnx import ModelProto, NodeProto

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.opsets import standard

MOST_NODES = 100_000
"""Nodes that functions may unfold to, whatever the model's size is."""

MOST_TIMES = 20
"""How many times as many nodes as the file has they may unfold to in a larger one."""

MOST_LEVELS = 100
"""How deep functions may call each other."""

_Key = tuple[str, str, str]


def require_bounded(model: ModelProto) -> None:
    """Check that functions unfold to a model that can be held.

    Raises:
        ModelError: OH131, they do not.
    """
    if not model.functions:
        return
    bodies = {(standard(f.domain), f.name, f.overload): Counter(map(_key, nodes_of(f.node))) for f in model.functions}
    sizes: dict[_Key, tuple[int, int]] = {}
    calls = {key: set(bodies).intersection(body) for key, body in bodies.items()}
    try:
        order = list(graphlib.TopologicalSorter(calls).static_order())
    except graphlib.CycleError:
        raise ModelError("OH131", "its functions call each other in a circle, and would unfold for ever") from None
    for key in order:
        sizes[key] = _size(bodies[key], sizes)
    main = Counter(map(_key, nodes_of(model.graph.node)))
    count, levels = _size(main, sizes)
    most = max(MOST_NODES, MOST_TIMES * (main.total() + sum(body.total() for body in bodies.values())))
    if count > most or levels > MOST_LEVELS:
        what = f"{count:,} nodes" if count > most else f"{levels} levels of calls"
        raise ModelError("OH131", f"its functions unfold to {what}, more than a file of its size may take")


def _size(calls: Counter[_Key], sizes: dict[_Key, tuple[int, int]]) -> tuple[int, int]:
    """The number of nodes and the levels of calls of a body, unfolded."""
    count, levels = 0, 0
    for key, times in calls.items():
        inner, below = sizes.get(key, (1, -1))
        count, levels = count + times * inner, max(levels, below + 1)
    return count, levels


def _key(node: NodeProto) -> _Key:
    return standard(node.domain), node.op_type, node.overload
