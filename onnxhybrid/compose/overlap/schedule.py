"""In which order the nodes of a graph should run: requests go out early, and are waited for late."""

from __future__ import annotations

import enum
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from onnx import NodeProto

from onnxhybrid.model.graphs import reads

Key = tuple[int, int, int, int]


class Role(enum.IntEnum):
    """What a node is to a schedule, in the order in which nodes that could run are taken."""

    CONSTANT = 0  # known before the run
    BEGIN = 1  # it sends, and goes on
    LOCAL = 2  # one more where no request needs it
    WAIT = 4  # it waits for an answer


@dataclass(frozen=True)
class Step:
    """A node, what it is, and the tensors that it reads."""

    node: NodeProto
    role: Role
    reads: tuple[str, ...]

    @classmethod
    def of(cls, node: NodeProto, role: Role) -> Step:
        """The step of a node."""
        return cls(node, role, tuple(dict.fromkeys(reads(node))))


class _Flow:
    """The steps as a graph: for each the steps before and after it, by index."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.roles = [step.role for step in steps]
        producers = {name: index for index, step in enumerate(steps) for name in step.node.output if name}
        self.before = [list(dict.fromkeys(producers[n] for n in step.reads if n in producers)) for step in steps]
        self.after: list[list[int]] = [[] for _ in steps]
        for index, sources in enumerate(self.before):
            for source in sources:
                self.after[source].append(index)

    def keys(self) -> list[Key]:
        """What decides which of the steps that could run is taken: the least key."""
        waits = self._waits_before()
        height, length, way = self._ahead(waits)
        keys: list[Key] = []
        for index, role in enumerate(self.roles):
            if role is Role.WAIT:
                # First what more calls wait for, then what more local work does; then what was begun first.
                keys.append((role, -height[index], -length[index], 0))
            elif role is Role.LOCAL and way[index] is None:
                keys.append((role + 1, 0, 0, index))
            else:
                keys.append((role, *(way[index] or (0, 0)), index))
        return keys

    def _waits_before(self) -> list[int]:
        waits = [0] * len(self.roles)
        for index, sources in enumerate(self.before):
            waits[index] = max((waits[s] + (self.roles[s] is Role.WAIT) for s in sources), default=0)
        return waits

    def _ahead(self, waits: list[int]) -> tuple[list[int], list[int], list[tuple[int, int] | None]]:
        """For each step how many waits and steps come after it at most, and how far the next request is, if any.

        The way to a request is how many waits come before it, and how many steps away it is.
        """
        height, length = [0] * len(self.roles), [0] * len(self.roles)
        way: list[tuple[int, int] | None] = [None] * len(self.roles)
        for index in reversed(range(len(self.roles))):
            for target in self.after[index]:
                height[index] = max(height[index], height[target] + (self.roles[target] is Role.WAIT))
                length[index] = max(length[index], length[target] + 1)
                if self.roles[target] is Role.BEGIN:
                    way[index] = min(way[index] or (waits[target], 1), (waits[target], 1))
                elif self.roles[target] is Role.LOCAL and (further := way[target]):
                    far = (further[0], further[1] + 1)
                    way[index] = min(way[index] or far, far)
        return height, length, way


def scheduled(steps: Sequence[Step]) -> list[Step]:
    """The steps in the order in which they should run; they come in any order that respects what they read.

    Requests go out as soon as they can, and what they need is computed first. Then comes all other work, and only
    where nothing else is left an answer is waited for. Steps that are alike keep their order, so that a second
    schedule is the first.
    """
    flow = _Flow(steps)
    keys, missing = flow.keys(), [len(sources) for sources in flow.before]
    ready: list[tuple[Key, int]] = []
    pushed, order = 0, []

    def push(index: int) -> None:
        nonlocal pushed
        pushed += 1
        key = keys[index]
        heapq.heappush(ready, ((*key[:3], pushed) if flow.roles[index] is Role.WAIT else key, index))

    for index, count in enumerate(missing):
        if not count:
            push(index)
    while ready:
        _, taken = heapq.heappop(ready)
        order.append(steps[taken])
        for target in flow.after[taken]:
            missing[target] -= 1
            if not missing[target]:
                push(target)
    return order
