"""Hybrids whose local parts are of many opsets, IR versions, element types and domains: not every release runs each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx.parser

import onnxhybrid as oh
from tests.bindings import Array
from tests.bindings.hybrids import JUDGE, remote
from tests.bindings.servers import CLOSED

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
Fed = tuple[oh.Model, dict[str, Array]]

_IR = {15: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13, 26: 13, 28: 14}
"""The opsets of local parts, each with the IR version that came with it."""

_PASSED = {
    "bfloat16": (13, "BFLOAT16"),
    "float8e4m3fn": (19, "FLOAT8E4M3FN"),
    "float8e5m2": (19, "FLOAT8E5M2"),
    "uint4": (21, "UINT4"),
    "int4": (21, "INT4"),
    "float4e2m1": (23, "FLOAT4E2M1"),
    "float8e8m0": (24, "FLOAT8E8M0"),
    "int2": (25, "INT2"),
    "float16": (13, "FLOAT16"),
    "double": (13, "DOUBLE"),
}
"""What a tensor is cast to and back, and the opset whose Cast knows it."""

_COMPUTED = ("bfloat16", "float16", "double", "int8", "uint16")


def local(body: str, opset: int, *, ir: int | None = None, imports: str = "", functions: str = "") -> oh.Model:
    """A local model x float32[n, 3] -> y float32[n, 3] with this body."""
    head = f'<ir_version: {ir or _IR.get(opset, 8)}, opset_import: ["": {opset}{imports}]>'
    text = f"{head} part (float[n, 3] x) => (float[n, 3] y) {{ {body} }} {functions}"
    return oh.Model.from_proto(onnx.parser.parse_model(text))


def parts() -> Iterator[tuple[str, oh.Model]]:
    """Local parts."""
    for opset, ir in _IR.items():
        yield f"opset {opset}", local("h = Relu (x) y = Add (h, h)", opset, ir=ir)
        if opset < 24:
            yield f"opset {opset}, IR {ir + 1}", local("h = Relu (x) y = Add (h, h)", opset, ir=ir + 1)
    for kind, (opset, name) in _PASSED.items():
        number = onnx.TensorProto.DataType.Value(name)
        yield f"through {kind}", local(f"h = Cast <to = {number}> (x) y = Cast <to = 1> (h)", opset)
    for kind in _COMPUTED:
        number = onnx.TensorProto.DataType.Value(kind.upper())
        body = f"h = Cast <to = {number}> (x) s = Add (h, h) y = Cast <to = 1> (s)"
        yield f"computed in {kind}", local(body, 14)
    head = '<opset_import: ["": 18], domain: "own"> Own (a) => (b)'
    for name, body in {
        "a function": "b = Add (a, a)",
        "a function of uint16": "c = Cast <to = 4> (a) d = Max (c, c) b = Cast <to = 1> (d)",
    }.items():
        yield name, local("y = own.Own (x)", 18, imports=', "own": 1', functions=f"{head} {{ {body} }}")
    for ml, opset in ((3, 18), (5, 21)):
        scaler = "y = ai.onnx.ml.Scaler <offset = [0.0], scale = [2.0]> (x)"
        yield f"ai.onnx.ml {ml}", local(scaler, opset, imports=f', "ai.onnx.ml": {ml}')
    gelu = "b = Constant <value = float[3] {0, 0, 0}> () y = com.microsoft.BiasGelu (x, b)"
    yield "com.microsoft", local(gelu, 18, imports=', "com.microsoft": 1')
    yield "strings", local("s = Cast <to = 8> (x) y = Cast <to = 1> (s)", 13)
    yield "Gelu", local("y = Gelu (x)", 20)
    yield "Swish", local("y = Swish (x)", 24)
    yield "RMSNormalization", local("s = Constant <value = float[3] {1, 1, 1}> () y = RMSNormalization (x, s)", 23)
    yield "RoiAlign's neighbour", local("y = LpNormalization (x)", 22)


def hybrids(url: str) -> dict[str, Fed]:
    """Each part with each combinator that takes it, and what that is fed."""
    given: dict[str, dict[str, Array]] = {"switch": {"condition": np.array(True)}, "route": {"which": np.array(1)}}
    found: dict[str, Fed] = {}
    for name, part in parts():
        for combinator, combine in _COMBINATORS.items():
            try:
                found[f"{combinator}, {name}"] = combine(part, remote(url)), {"x": X, **given.get(combinator, {})}
            except oh.ComposeError:  # the parts share no opset that the installed runtime computes
                continue
    return found


_COMBINATORS: dict[str, Callable[[oh.Model, oh.Model], oh.Model]] = {
    "cascade": lambda part, cloud: oh.cascade(part, cloud, JUDGE),
    "cascade of rows": lambda part, cloud: oh.cascade(part, cloud, JUDGE, rows=True, report=True),
    "parallel": lambda part, cloud: oh.parallel(edge=part, cloud=cloud),
    "overlap": lambda part, cloud: oh.overlap(oh.parallel(edge=part, cloud=cloud)),
    "fallback": lambda part, _: oh.fallback(remote(CLOSED), part, report=True),
    "ensemble": lambda part, cloud: oh.ensemble([part, cloud], combine="max"),
    "chain": lambda part, cloud: oh.chain(part, cloud.rename({"x": "y", "y": "z"})),
    "switch": lambda part, cloud: oh.switch("condition", then=part, else_=cloud),
    "route": lambda part, cloud: oh.route("which", [cloud, part]),
}
