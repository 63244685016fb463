"""What nodes say against what their operators take, before onnx's own code sees them.

Inference and the version converter of onnx rely on this: an attribute of another kind, or too few inputs, ends the
process there, and some texts keep it busy for ever. Source: the operator schemas; seen with onnx 1.21 to 1.23.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, defs

from onnxhybrid.errors import ModelError
from onnxhybrid.model.graphs import all_nodes, nodes_of
from onnxhybrid.model.messages import copied
from onnxhybrid.model.opsets import opsets_of, standard

_KIND = AttributeProto
_HOLDS = {
    _KIND.FLOAT: "f",
    _KIND.INT: "i",
    _KIND.STRING: "s",
    _KIND.TENSOR: "t",
    _KIND.GRAPH: "g",
    _KIND.SPARSE_TENSOR: "sparse_tensor",
    _KIND.TYPE_PROTO: "tp",
    _KIND.FLOATS: "floats",
    _KIND.INTS: "ints",
    _KIND.STRINGS: "strings",
    _KIND.TENSORS: "tensors",
    _KIND.GRAPHS: "graphs",
    _KIND.SPARSE_TENSORS: "sparse_tensors",
    _KIND.TYPE_PROTOS: "type_protos",
}
"""The field of an attribute's value, by its type."""

_ELEMENT_TYPES = frozenset({"to", "dtype", "output_dtype", "stash_type", "softmax_precision", "precision"})
_KNOWN_TYPES = frozenset(TensorProto.DataType.values())

HIDDEN = "onnxhybrid.hidden/"
"""Before the domain of an operator that onnx shall not recognize."""

_TERM = r"[A-Za-z\s]*(\.\.\.)?[A-Za-z\s]*"
_EQUATION = re.compile(rf"{_TERM}(,{_TERM})*(->{_TERM})?")
_LONGEST_EQUATION = 1024


def require_sound(model: ModelProto) -> None:
    """Check what the nodes of the main graph and of functions say, nested graphs included.

    Raises:
        ModelError: OH130, an operator does not take it.
    """
    for text, place in flaws(model):
        raise ModelError("OH130", f"{place}: {text}")


def require_equations(model: ModelProto) -> None:
    """Check the one text that keeps ONNX Runtime busy for ever, too.

    Raises:
        ModelError: OH130, an Einsum has it.
    """
    for node in all_nodes(model):
        if node.op_type == "Einsum" and not all(_is_equation(a.s) for a in node.attribute if a.name == "equation"):
            raise ModelError("OH130", f"node {node.name!r} (Einsum): its attribute 'equation' is none that Einsum has")


def flaws(model: ModelProto) -> Iterator[tuple[str, str]]:
    """What no operator takes, and the node that says it."""
    for node, text in _flawed(model):
        yield text, f"node {node.name!r} ({node.op_type})" if node.name else f"a node {node.op_type}"


def is_sound(model: ModelProto) -> bool:
    """Whether no node says what its operator does not take."""
    return not any(True for _ in _flawed(model))


def without_flawed(model: ModelProto) -> ModelProto:
    """The model with its flawed nodes in domains that nobody knows, so that nobody looks into them."""
    if is_sound(model):
        return model
    plain = copied(model)
    domains = {""}
    for node, _ in list(_flawed(plain)):
        domains.add(node.domain)
        node.domain = HIDDEN + node.domain
    for scope in (plain, *plain.functions):
        for domain in sorted(domains):
            scope.opset_import.add(domain=HIDDEN + domain, version=1)
    return plain


def _flawed(model: ModelProto) -> Iterator[tuple[NodeProto, str]]:
    scopes: list[tuple[Iterable[NodeProto], dict[str, int], bool]]
    scopes = [(model.graph.node, opsets_of(model.opset_import), False)]
    scopes += [(function.node, opsets_of(function.opset_import), True) for function in model.functions]
    own = {(standard(function.domain), function.name) for function in model.functions}
    for nodes, opsets, inside in scopes:
        for node in nodes_of(nodes):
            domain = standard(node.domain)
            if domain not in opsets or (domain, node.op_type) in own:
                continue
            schema = _schema(domain, node.op_type, opsets[domain])
            if schema is not None and (text := _flaw(node, schema, inside)) is not None:
                yield node, text


@functools.lru_cache(maxsize=4096)
def _schema(domain: str, operator: str, version: int) -> _Signature | None:
    try:
        return _Signature(defs.get_schema(operator, version, domain))
    except (defs.SchemaError, TypeError):  # none, or a version that is no version
        return None


class _Signature:
    """The part of a schema that nodes are held against, copied once: each look into a schema is slow."""

    __slots__ = ("inputs", "kinds", "operator", "outputs", "required")

    def __init__(self, schema: defs.OpSchema) -> None:
        self.operator = schema.name if not schema.domain else ""
        self.kinds = {
            name: int(entry.type.value)  # type: ignore[attr-defined]
            for name, entry in schema.attributes.items()
        }
        self.required = frozenset(name for name, entry in schema.attributes.items() if entry.required)
        self.inputs = schema.min_input, schema.max_input
        self.outputs = schema.min_output, schema.max_output


def _flaw(node: NodeProto, schema: _Signature, inside: bool) -> str | None:
    """What is wrong with a node."""
    for what, count, (least, most) in (
        ("inputs", len(node.input), schema.inputs),
        ("outputs", len(node.output), schema.outputs),
    ):
        if not least <= count <= most:
            return f"it has {count} {what}, and the operator takes {least} to {most}"
    missing = schema.required
    for attribute in node.attribute[:]:
        if attribute.name in schema.kinds:
            missing = missing - {attribute.name} if missing else missing
            if text := _attribute_flaw(attribute, schema, inside):
                return text
    return f"its attribute {min(missing)!r} is missing" if missing else None


def _attribute_flaw(attribute: AttributeProto, schema: _Signature, inside: bool) -> str | None:
    kind, name = schema.kinds[attribute.name], attribute.name
    if inside and attribute.ref_attr_name:
        return None
    if attribute.type not in (kind, _KIND.UNDEFINED):
        return f"its attribute {name!r} is {_name(attribute.type)}, and the operator takes {_name(kind)}"
    wrong = [field for other, field in _HOLDS.items() if other != kind and _is_set(attribute, field)]
    if wrong:
        return f"its attribute {name!r} is to be {_name(kind)}, and holds something else, too"
    if kind == _KIND.INT and name in _ELEMENT_TYPES and attribute.i not in _KNOWN_TYPES:
        return f"its attribute {name!r} is {attribute.i}, which is no element type"
    if schema.operator == "Einsum" and name == "equation" and not _is_equation(attribute.s):
        return "its attribute 'equation' is none that Einsum has"
    return None


_REPEATED = frozenset({"floats", "ints", "strings", "tensors", "graphs", "sparse_tensors", "type_protos"})


def _is_set(attribute: AttributeProto, field: str) -> bool:
    return bool(getattr(attribute, field)) if field in _REPEATED else attribute.HasField(field)


def _is_equation(text: bytes) -> bool:
    if len(text) > _LONGEST_EQUATION:
        return False
    return _EQUATION.fullmatch(text.decode("ascii", "replace")) is not None


def _name(kind: int) -> str:
    return AttributeProto.AttributeType.Name(kind) if kind in AttributeProto.AttributeType.values() else str(kind)
