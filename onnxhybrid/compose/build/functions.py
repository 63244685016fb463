"""Brings the model-local functions of parts into one model.

Functions of one name (domain, name and overload) are one where they mean the same. Where they do not, that of the later
part gets the part's label as a prefix, and what calls it there calls it so.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from onnx import FunctionProto, ModelProto

from onnxhybrid.compose.build.meaning import meaning
from onnxhybrid.compose.build.part import Part
from onnxhybrid.model import Model
from onnxhybrid.model.function_names import rename_functions
from onnxhybrid.model.functions import Key, called, key_of
from onnxhybrid.model.graphs import all_nodes, nodes_of
from onnxhybrid.model.messages import copied, replace
from onnxhybrid.model.naming import free_name
from onnxhybrid.model.opsets import imported
from onnxhybrid.model.remote_spec import gives_results
from onnxhybrid.model.runtime_operators import outranks


def told_apart(parts: Sequence[Part]) -> list[Part]:
    """The parts, in which functions of one name mean the same.

    Raises:
        ModelError: OH107, a weight inside of a function cannot be read.
    """
    owned = [{key_of(function) for function in part.model.skeleton.functions} for part in parts]
    every = set().union(*owned)
    foreign = set().union(*(_foreign(part.model.skeleton, every - own) for part, own in zip(parts, owned, strict=True)))
    shared = {key for key in every if sum(key in own for own in owned) > 1} | foreign
    if not shared:
        return list(parts)
    naming = _Naming({_family(key) for key in shared}, foreign, every)
    return [_under(naming.of(part), part) for part in parts]


def _foreign(model: ModelProto, keys: Collection[Key]) -> set[Key]:
    """Which of `keys`, for which it has no function, a model takes for operators: of somebody's library, that is."""
    domains = imported(model)
    keys = {key for key in keys if key[0] in domains and not outranks(key)}
    return keys.intersection(map(called, all_nodes(model))) if keys else set()


def _family(key: Key) -> Key:
    """What functions have in common that were told apart by a prefix."""
    domain, name, overload = key
    return domain, name.rpartition("/")[2], overload


@dataclass
class _Naming:
    """What functions are called in the composition.

    Attributes:
        families: those in which names may clash.
        foreign: names that no function can have.
        taken: all names that there are.
        meanings: what the function that has a name means.
        names: the family and meaning of a function -> its name.
    """

    families: Collection[Key]
    foreign: Collection[Key]
    taken: set[Key]
    meanings: dict[Key, Hashable] = field(default_factory=dict)
    names: dict[tuple[Key, Hashable], Key] = field(default_factory=dict)

    def of(self, part: Part) -> dict[Key, Key]:
        """What each function of a part is called.

        One that has the name of an operator of ONNX Runtime keeps it: the operator runs in its place, and under another
        name the function would.
        """
        names: dict[Key, Key] = {}
        for function in _callees_first(part.model.skeleton):
            key = key_of(function)
            names[key] = key
            if _family(key) in self.families and not outranks(key):
                names[key] = self._name(key, meaning(function, names, part.model.weights), part.label)
        return names

    def _name(self, key: Key, means: Hashable, label: str) -> Key:
        kind = _family(key), means
        if key not in self.foreign and self.meanings.setdefault(key, means) == means:
            self.names.setdefault(kind, key)
            return key
        if kind not in self.names:
            self.names[kind] = self._free(key, label)
        return self.names[kind]

    def _free(self, key: Key, label: str) -> Key:
        domain, name, overload = key
        used = {other for its_domain, other, _ in self.taken if its_domain == domain}
        free = domain, free_name(f"{label}/{name}", used), overload
        self.taken.add(free)
        return free


def _callees_first(model: ModelProto) -> list[FunctionProto]:
    """The functions, each after those that it calls, if no function calls itself."""
    functions = {key_of(function): function for function in model.functions}
    calls = {key: {*map(called, nodes_of(function.node))} & functions.keys() for key, function in functions.items()}
    try:
        return [functions[key] for key in TopologicalSorter({k: sorted(c) for k, c in calls.items()}).static_order()]
    except CycleError:
        return list(functions.values())


def _under(names: Mapping[Key, Key], part: Part) -> Part:
    """The part with its functions under these names."""
    moved = {key: new[1] for key, new in names.items() if new != key}
    if not moved:
        return part
    proto = copied(part.model.skeleton)
    rename_functions(proto, moved)
    return part.of(Model(proto, part.model.weights))


def united(parts: Iterable[Part]) -> list[FunctionProto]:
    """The functions of parts that are `told_apart`, each once, as the first part writes it down.

    What that says of the sizes inside may be true of the first part's calls alone: it is left out where another part
    says something else. A name that one part has twice is there twice, as no runtime takes it, for the check to find.
    """
    functions: dict[Key, FunctionProto] = {}
    doubled = []
    for part in parts:
        own: set[Key] = set()
        for function in part.model.skeleton.functions:
            key = key_of(function)
            first = functions.setdefault(key, function)
            if key in own:
                doubled.append(function)
            elif first.value_info != function.value_info:
                functions[key] = _without_sizes(first)
            own.add(key)
    return [*functions.values(), *doubled]


def _without_sizes(function: FunctionProto) -> FunctionProto:
    """The function without declared types, other than those of remote results, which need one."""
    bare = copied(function)
    answers = {name for node in function.node if gives_results(node) for name in node.output}
    replace(bare.value_info, [value for value in bare.value_info if value.name in answers])
    return bare
