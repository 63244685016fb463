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
    """The role of a node in a schedule. Of the nodes that could run, the one with the least number runs first."""

    CONSTANT = 0  # computed before the run
    BEGIN = 1  # sends a request, or drops one
    LOCAL = 2  # local work; 3 if no request needs its result
    WAIT = 4  # waits for an answer


@dataclass(frozen=True)
class Step:
    """A node, its role, and the tensors that it reads."""

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
        """A key for each step: of those that could run, the one with the least key is next."""
        waits = self._waits_before()
        height, length, way = self._ahead(waits)
        keys: list[Key] = []
        for index, role in enumerate(self.roles):
            if role is Role.WAIT:
                # First the answer that most calls in a row wait for, then most local work; then the one begun first.
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
        """Of the paths that start at each step: the most waits, the most steps, and the way to the next request.

        That way is the number of waits before the request and of the steps to it; None where no request follows.
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

    Requests are sent as soon as they can be, and what they need is computed first. All other work comes next; an answer
    is waited for when nothing else can run. Equal steps keep their order, so scheduling twice changes nothing.
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
