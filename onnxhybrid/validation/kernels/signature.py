"""What a node of a standard operator reads, against what the operator's schema takes."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto, defs

from onnxhybrid.model.opsets import standard
from onnxhybrid.validation.kernels.kinds import Kinds, spelled

_SINGLE = defs.OpSchema.FormalParameterOption.Single


def mismatches(node: NodeProto, kinds: Kinds, version: int) -> Iterator[str]:
    """What is wrong with the inputs of a node, by the version of its operator that an opset has.

    Types that are not known are passed over.
    """
    schema = defs.get_schema(node.op_type, version, standard(node.domain))
    allowed = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
    bound: dict[str, str] = {}
    for position, name in enumerate(node.input if schema.inputs else ()):
        formal = schema.inputs[min(position, len(schema.inputs) - 1)]
        kind = spelled(kinds[name]) if name in kinds else ""
        if not name and formal.option == _SINGLE:
            yield f"its input {formal.name!r} is not given"
        elif kind and kind not in allowed.get(formal.type_str, [formal.type_str]):
            yield f"its input {name!r} is {kind}, which {formal.name!r} of {node.op_type} {schema.since_version} is not"
        elif kind and formal.is_homogeneous and bound.setdefault(formal.type_str, kind) != kind:
            other = bound[formal.type_str]
            yield f"its input {name!r} is {kind}, and another one of the same type parameter is {other}"
