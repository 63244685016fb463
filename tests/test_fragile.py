"""Nothing that onnx looks at ends the process, whatever stands behind an operator of which it knows nothing."""

from __future__ import annotations

import functools

import onnx
import pytest
from onnx import defs, shape_inference

import onnxhybrid as oh
from onnxhybrid.model import fragile
from tests.every_operator import PLACES, deadly, every_schema, in_loops, in_main


def label(schema: defs.OpSchema) -> str:
    return f"{schema.domain or 'ai.onnx'} {schema.name} {schema.since_version}"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_operator_behind_an_unknown_one_ends_the_process(place) -> None:  # type: ignore[no-untyped-def]
    def look(schema: defs.OpSchema) -> None:
        fragile.inferred(place(schema), data_prop=place in (in_main, in_loops))

    schemas = every_schema()
    assert len(schemas) > 500
    assert deadly([(label(schema), functools.partial(look, schema)) for schema in schemas]) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_each_operator_that_is_hidden_does_end_the_process_otherwise(place) -> None:  # type: ignore[no-untyped-def]
    """So the enumeration above finds such operators; one that a release of onnx has mended may be taken off."""
    schemas = [s for s in every_schema() if (s.domain, s.name) in fragile._FRAGILE]
    jobs = [(label(s), functools.partial(lambda s: shape_inference.infer_shapes(place(s)), s)) for s in schemas]
    assert len(deadly(jobs)) == len(schemas) >= 8


def test_no_operator_behind_an_unknown_one_ends_the_process_when_its_types_are_asked_for() -> None:
    def ask(schema: defs.OpSchema) -> None:
        oh.Model.from_proto(in_main(schema)).tensors()

    newest = {(schema.domain, schema.name): schema for schema in every_schema()}.values()
    assert deadly([(label(schema), functools.partial(ask, schema)) for schema in newest]) == []


def behind(types: dict[str, str], nodes: str) -> dict[str, str]:
    """The dtypes of the tensors that these nodes give, which read inputs of these types."""
    inputs = ", ".join(f"{kind}[n,m] {name}" for name, kind in types.items())
    text = (
        f'<ir_version: 10, opset_import: ["": 22, "ai.onnx.ml": 4, "com.example": 1]> g ({inputs}) => () {{ {nodes} }}'
    )
    return {spec.name: spec.dtype for spec in oh.Model.from_proto(onnx.parser.parse_model(text)).tensors()}


ENCODE = 'ai.onnx.ml.LabelEncoder<keys_int64s = [0], values_strings = ["no"]>'
BACK = 'ai.onnx.ml.LabelEncoder<keys_strings = ["no"], values_floats = [1.0]>'


def test_operators_that_are_hidden_get_their_types_where_what_they_read_is_known() -> None:
    found = behind({"x": "int64"}, f"a = {ENCODE}(x) b = {BACK}(a) c = EyeLike<dtype = 7>(b) d = Neg(c)")
    assert found == {"x": "int64", "a": "str", "b": "float32", "c": "int64", "d": "int64"}


def test_what_is_behind_an_unknown_tensor_is_undefined_and_the_rest_is_known() -> None:
    nodes = f'u = com.example.Own(x) a = {ENCODE}(u) b = {ENCODE}(x) c = RegexFullMatch<pattern = "n.">(a)'
    assert behind({"x": "int64"}, nodes) == {"x": "int64", "u": "undefined", "a": "undefined", "b": "str", "c": "bool"}


def test_types_are_known_inside_of_branches_too() -> None:
    body = f"{{ a = {ENCODE}(x) }}"
    nodes = (
        f"y = If (c) <then_branch = one () => (string[n,m] a) {body}, else_branch = two () => (string[n,m] a) {body}>"
    )
    assert behind({"x": "int64", "c": "bool"}, nodes)["y"] == "str"
