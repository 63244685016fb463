"""What a file from a stranger may ask for: the ceilings of `oh.Policy.strict`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from onnx import ModelProto, NodeProto

from onnxhybrid.errors import Error, PolicyDenied
from onnxhybrid.model import Model, load
from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.graphs import attribute_graphs, nested_graphs

_DAY = 86_400.0
_MOST = (1 << 63) - 1


@dataclass(frozen=True)
class Ceilings:
    """The most that a file may ask for.

    Args:
        max_timeout: seconds until a call ends, whatever its node says.
        max_retries: repeats of a request, whatever its node says.
        max_request_bytes: bytes of a request's body; a larger one is not sent.
        max_nodes: nodes of the graph once every function stands in the place of its calls.

    Raises:
        Error: OH530, one of them is of another kind.
    """

    max_timeout: float = 60.0
    max_retries: int = 2
    max_request_bytes: int = 64 << 20
    max_nodes: int = 100_000

    def __post_init__(self) -> None:
        timeout: object = self.max_timeout
        if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0.001 <= timeout <= _DAY:
            raise Error("OH530", f"max_timeout is seconds from 0.001 to a day, not {timeout!r}")
        for name, least, most in (("max_retries", 0, 100), ("max_request_bytes", 0, _MOST), ("max_nodes", 0, _MOST)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise Error("OH530", f"{name} is a whole number from {least} to {most}, not {value!r}")

    def config(self) -> dict[str, Any]:
        """The ceilings that the operator library keeps."""
        return {
            "max_timeout": self.max_timeout,
            "max_retries": self.max_retries,
            "max_request_bytes": self.max_request_bytes,
        }

    def held(self, model: Model | str | os.PathLike[str]) -> Model:
        """The model, loaded, so that what was looked at is what runs.

        Raises:
            ModelError: the file is no model.
            PolicyDenied: OH524, its graph is too large.
        """
        loaded = model if isinstance(model, Model) else load(model)
        if node_count(loaded.skeleton, self.max_nodes) > self.max_nodes:
            message = (
                f"the graph has more than the {self.max_nodes} nodes that the policy allows, functions put in place"
            )
            raise PolicyDenied("OH524", message)
        return loaded


def node_count(model: ModelProto, most: int) -> int:
    """How many nodes the graph has once every function stands in the place of its calls.

    Functions may call functions, so that a small file can mean more nodes than memory holds: what is more than `most`,
    and a function that calls itself, is `most + 1`.
    """
    bodies = {key_of(function): Counter(map(called, _all_nodes(function.node))) for function in model.functions}
    main = Counter(called(node) for graph in nested_graphs(model.graph) for node in graph.node)
    sizes: dict[Key, int] = {}
    for start in bodies:
        pending, under_way = [start], set[Key]()
        while pending:
            key = pending[-1]
            waiting = [] if key in sizes else [inner for inner in bodies[key] if inner in bodies and inner not in sizes]
            if under_way.intersection(waiting) or key in waiting:
                return most + 1
            if waiting:
                under_way.add(key)
                pending += waiting
            else:
                sizes[key] = min(_size(bodies[key], sizes), most + 1)
                under_way.discard(key)
                pending.pop()
    return min(_size(main, sizes), most + 1)


def _size(calls: Counter[Key], sizes: dict[Key, int]) -> int:
    return sum(count * sizes.get(key, 1) for key, count in calls.items())


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for held in attribute_graphs(node):
            for graph in nested_graphs(held):
                yield from graph.node
