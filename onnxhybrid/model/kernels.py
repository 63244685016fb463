"""Which versions of an operator the installed ONNX Runtime can compute, as it says itself."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from onnx import FunctionProto, NodeProto, TensorProto, defs, helper

from onnxhybrid.model.graphs import nodes_of
from onnxhybrid.model.opsets import standard
from onnxhybrid.model.schemas import is_deprecated, since_version

Kernels = Mapping[tuple[str, str], frozenset[tuple[int, int]]]
"""domain and operator -> the first and last opset of each kernel"""

_OPEN = 2**31 - 1
"""The last opset of a kernel that is registered without one."""

_WITHOUT_KERNEL = frozenset({"Constant"})
"""What a session replaces before it looks for kernels."""


def installed() -> Kernels:
    """The kernels of the installed runtime; none where a build does not list them."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return _listed(state)


@functools.cache
def _listed(state: Any) -> Kernels:
    ranges: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for kernel in getattr(state, "get_all_opkernel_def", list)():
        ranges.setdefault((standard(kernel.domain), kernel.op_name), set()).add(kernel.version_range)
    return {operator: frozenset(found) for operator, found in ranges.items()}


def loses_kernel(node: NodeProto, old: int, new: int, kernels: Kernels) -> bool:
    """Whether the runtime computes a node in version `old` of its domain, and not in version `new`.

    What the new version has replaced by another operator is not lost.
    """
    domain = standard(node.domain)
    if since_version(domain, node.op_type, old) == since_version(domain, node.op_type, new):
        return False
    replaced = is_deprecated(domain, node.op_type, new)
    return not replaced and runs(node, old, kernels) and not runs(node, new, kernels)


def lacks_kernel(node: NodeProto, version: int, kernels: Kernels) -> bool:
    """Whether the runtime computes a node in an earlier version of its domain, and not in this one."""
    domain, old = standard(node.domain), version
    while since := since_version(domain, node.op_type, old):
        if loses_kernel(node, old, version, kernels):
            return True
        old = since - 1
    return False


def runs(node: NodeProto, version: int, kernels: Kernels) -> bool:
    """Whether the runtime has a kernel for a node in a version of its domain, or for all that it consists of."""
    domain = standard(node.domain)
    if not kernels or (not domain and node.op_type in _WITHOUT_KERNEL):
        return True
    since = since_version(domain, node.op_type, version)
    if any(_covers(first, last, since) for first, last in kernels.get((domain, node.op_type), ())):
        return True
    body = _body(node, version) if since else []
    return body is None or (bool(body) and all(runs(inner, version, kernels) for inner in body))


def _covers(first: int, last: int, since: int) -> bool:
    """A kernel without a last opset is for the version that it begins with alone: the next one may differ."""
    return first == since or (first < since <= last < _OPEN)


def _body(node: NodeProto, version: int) -> list[NodeProto] | None:
    """The nodes of the function that the standard defines an operator by, for float inputs where that matters.

    None where there is one for other inputs or attributes only, and nothing where there is none.
    """
    schema: Any = defs.get_schema(node.op_type, version, standard(node.domain))
    if schema.has_function:
        return list(nodes_of(schema.function_body.node))
    if not schema.has_context_dependent_function:
        return []
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, None).SerializeToString()
    try:
        function = schema.get_context_dependent_function(node.SerializeToString(), [kind] * len(node.input))
    except (RuntimeError, ValueError):
        return None
    return list(nodes_of(FunctionProto.FromString(function).node)) or None
