"""The corpus: hostile files by name, each made anew from a seed or by hand."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.hostile.bases import (
    BASES,
    INT64,
    branching,
    calling,
    classical,
    dense,
    looping,
    remote,
    value,
    wrapped,
)

Make = Callable[[Path], object]
"""Writes the file, and what lies beside it."""

NUMBERS = (0, 1, -1, 2**31, 2**62, -(2**63), 2**63 - 1)
TEXTS = ("", "\n", "\0", "a/../b", "../" * 40, "%s%n", "é\u202e", "x" * 100_000, "onnxhybrid.", "ai.onnx", "{}", '"')
DEEP = "[" * 100_000


def _written(make: Callable[[], ModelProto | bytes]) -> Make:
    def write(path: Path) -> None:
        made = make()
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())

    return write


def flipped(seed: int) -> bytes:
    """A sound file with some bytes changed, left out, doubled or moved."""
    rng = random.Random(seed)
    data = bytearray(rng.choice(BASES)().SerializeToString())
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, size = rng.randrange(len(data)), rng.choice((1, 2, 16, 200))
        act = rng.randrange(5)
        if act == 0:
            data[at] = rng.randrange(256)
        elif act == 1:
            del data[at : at + size]
        elif act == 2:
            data[at:at] = data[at : at + size]
        elif act == 3:
            data[at:at] = bytes(rng.choices((0xFF, 0x7F, 0x80, 0x0A, 0x22), k=min(size, 12)))
        else:
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def odd_nodes(seed: int) -> ModelProto:
    """A sound model with something changed in its nodes, types, weights or imports."""
    rng = random.Random(seed)
    proto = rng.choice(BASES)()
    for _ in range(rng.choice((1, 1, 2, 5))):
        rng.choice(CHANGES)(proto, rng)
    return proto


def _node(proto: ModelProto, rng: random.Random) -> NodeProto:
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    inner = [n for node in nodes for a in node.attribute if a.HasField("g") for n in a.g.node]
    chosen: NodeProto = rng.choice(nodes + inner or [proto.graph.node.add()])
    return chosen


def change_attribute(proto: ModelProto, rng: random.Random) -> None:
    node = _node(proto, rng)
    if not node.attribute:
        node.attribute.add(name=rng.choice(("axis", "axes", "to", "value", "body", "then_branch", "keys_strings")))
    entry = rng.choice(list(node.attribute))
    name = entry.name
    entry.Clear()
    entry.name = name
    entry.type = rng.randrange(15)
    rng.choice(
        (
            lambda: setattr(entry, "i", rng.choice(NUMBERS)),
            lambda: setattr(entry, "f", float("nan")),
            lambda: setattr(entry, "s", rng.choice(TEXTS).encode()),
            lambda: entry.ints.extend(rng.choices(NUMBERS, k=5)),
            lambda: entry.strings.append(b"\xff\xfe"),
            lambda: entry.t.CopyFrom(TensorProto(data_type=rng.choice((0, 1, 8, 99)), dims=rng.choices(NUMBERS, k=2))),
            entry.g.SetInParent,
            lambda: setattr(entry, "ref_attr_name", "none"),
        )
    )()


def change_operator(proto: ModelProto, rng: random.Random) -> None:
    node = _node(proto, rng)
    names = (
        "If",
        "Loop",
        "Scan",
        "Constant",
        "EyeLike",
        "Split",
        "Reshape",
        "SequenceMap",
        "Einsum",
        "Cast",
        "Nothing",
    )
    node.op_type = rng.choice(
        (*names, "LabelEncoder", "TreeEnsemble", "DictVectorizer", "Invoke", "Begin", "Await", "")
    )
    node.domain = rng.choice(("", "ai.onnx", "ai.onnx.ml", "ai.onnxhybrid", "com.microsoft", "f"))


def change_wires(proto: ModelProto, rng: random.Random) -> None:
    node = _node(proto, rng)
    field = rng.choice((node.input, node.output))
    act = rng.randrange(4)
    if act == 0:
        del field[:]
    elif act == 1:
        field.extend([rng.choice(("x", "y", "", "nothing"))] * rng.choice((1, 300)))
    elif field:
        field[0] = rng.choice(("x", "y", *node.output, *TEXTS))


def change_type(proto: ModelProto, rng: random.Random) -> None:
    graph = proto.graph
    values = [*graph.input, *graph.output, *graph.value_info] or [graph.output.add()]
    entry = rng.choice(values)
    act = rng.randrange(5)
    if act == 0:
        entry.ClearField("type")
    elif act == 1:
        entry.type.tensor_type.elem_type = rng.choice((-1, 0, 8, 16, 99, 2**31 - 1))
    elif act == 2:
        entry.type.tensor_type.shape.dim.add(dim_value=rng.choice(NUMBERS))
    elif act == 3:
        kind = entry.type
        for _ in range(20):
            kind = kind.sequence_type.elem_type
    else:
        entry.name = rng.choice(TEXTS)


def change_weight(proto: ModelProto, rng: random.Random) -> None:
    weights = list(proto.graph.initializer) or [proto.graph.initializer.add(name="w")]
    tensor = rng.choice(weights)
    act = rng.randrange(6)
    if act == 0:
        tensor.data_type = rng.choice((0, 8, 16, 21, 99))
    elif act == 1:
        tensor.dims.append(rng.choice(NUMBERS))
    elif act == 2:
        tensor.raw_data = tensor.raw_data[: rng.randrange(50)]
    elif act == 3:
        tensor.float_data.extend([1.0] * 300)
    elif act == 4:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(
            key=rng.choice(("location", "offset", "onnxhybrid.span", "")), value=rng.choice(TEXTS[:6])
        )
    else:
        proto.graph.initializer.add().CopyFrom(tensor)


def change_imports(proto: ModelProto, rng: random.Random) -> None:
    act = rng.randrange(5)
    if act == 0:
        del proto.opset_import[:]
    elif act == 1:
        for entry in proto.opset_import:
            entry.version = rng.choice(NUMBERS)
    elif act == 2:
        proto.opset_import.add(domain=rng.choice(TEXTS), version=rng.choice(NUMBERS))
    elif act == 3:
        proto.ir_version = rng.choice(NUMBERS)
    else:
        key = rng.choice(("onnxhybrid.parts", "onnxhybrid.remotes", "onnxhybrid.noqa"))
        proto.metadata_props.add(key=key, value=rng.choice((*TEXTS, DEEP)))


OPERATORS = (
    "If", "Loop", "Scan", "Constant", "EyeLike", "Split", "Reshape", "SequenceMap", "Einsum", "Cast", "Nothing",
    "LabelEncoder", "TreeEnsemble", "DictVectorizer", "Invoke", "Begin", "Await", "",
)  # fmt: skip
CHANGES = (change_attribute, change_operator, change_wires, change_type, change_weight, change_imports)


def _changed(base: Callable[[], ModelProto], change: Callable[[ModelProto], object]) -> Callable[[], ModelProto]:
    def make() -> ModelProto:
        proto = base()
        change(proto)
        return proto

    return make


def _remote_attribute(name: str, text: str) -> Callable[[ModelProto], None]:
    def change(proto: ModelProto) -> None:
        for node in proto.graph.node:
            inner = [n for a in node.attribute if a.HasField("g") for n in a.g.node]
            for call in [node, *inner]:
                for entry in call.attribute if call.domain == "ai.onnxhybrid" else ():
                    if entry.name == name:
                        entry.s = text.encode()

    return change


def _sizes(proto: ModelProto) -> Any:
    return proto.graph.input[0].type.tensor_type.shape.dim


def _call_itself(proto: ModelProto) -> None:
    node = proto.functions[1].node[0]
    node.op_type, node.domain = "Outer", "f"


def _einsum(opset: int, equation: str) -> ModelProto:
    node = helper.make_node("Einsum", ["x"], ["y"], equation=equation)
    return wrapped([node], [value("x", shape=[])], [value("y")], opsets={"": opset})


def _aged(operator: str, opset: int) -> ModelProto:
    return wrapped([helper.make_node(operator, ["x"], ["y"])], [value("x")], [value("y")], opsets={"": opset})


def _nested(levels: int) -> ModelProto:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["t"])], "inner", [], [value("t")])
    for level in range(levels):
        branches = {"then_branch": graph, **({"else_branch": graph} if level < 5 else {})}
        node = helper.make_node("If", ["c"], [f"t{level}"], **branches)
        graph = helper.make_graph([node], f"l{level}", [], [value(f"t{level}")])
    return wrapped(
        [*graph.node, helper.make_node("Identity", [f"t{levels - 1}"], ["y"])],
        [value("x"), value("c", TensorProto.BOOL, [])],
        [value("y")],
    )


def _many(count: int, operator: str = "Relu") -> ModelProto:
    names = ["x", *(f"o{number}" for number in range(count - 1)), "y"]
    nodes = [helper.make_node(operator, [names[n]], [names[n + 1]]) for n in range(count)]
    return wrapped(nodes, [value("x")], [value("y")])


def _backwards(count: int) -> ModelProto:
    proto = _many(count)
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in reversed(proto.graph.node)]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def _token_chain() -> ModelProto:
    """Many calls, whose tokens come through one long chain."""
    proto = remote()
    call = NodeProto(op_type="Invoke", domain="ai.onnxhybrid")
    chain = [helper.make_node("Identity", [f"i{n}"], [f"i{n + 1}"]) for n in range(3000)]
    nodes = [*chain]
    for number in range(1000):
        node = nodes[-1].__class__()
        node.CopyFrom(call)
        node.input.extend(["i3000", "x"])
        node.output.append(f"r{number}")
        node.attribute.append(helper.make_attribute("auth", "input"))
        nodes.append(node)
    proto.graph.node.extend(nodes)
    return proto


def _external(entries: dict[str, str], prepare: Callable[[Path], object] = lambda folder: None) -> Make:
    def write(path: Path) -> None:
        proto = dense()
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in entries.items():
            tensor.external_data.add(key=key, value=text)
        prepare(path.parent)
        path.write_bytes(proto.SerializeToString())

    return write


def _circle(folder: Path) -> None:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")


FILES: dict[str, Make] = {
    "data in a pipe": _external({"location": "pipe"}, lambda folder: os.mkfifo(folder / "pipe")),
    "data in a folder": _external({"location": "sub"}, lambda folder: (folder / "sub").mkdir()),
    "data in a circle of links": _external({"location": "one"}, _circle),
    "data behind a circle of links": _external({"location": "one/w"}, _circle),
    "data in a device": _external({"location": "zero"}, lambda folder: (folder / "zero").symlink_to("/dev/zero")),
    "data at an absolute path": _external({"location": "/etc/passwd"}),
    "data above the folder": _external({"location": "../" * 30 + "etc/passwd"}),
    "data with a NUL in its name": _external({"location": "a\0b"}),
    "data with an endless name": _external({"location": "a" * 100_000}),
    "data in many folders": _external({"location": "a/" * 50_000}),
    "data that is the model": _external({"location": "m.onnx"}),
    "data without a place": _external({}),
    "data with a negative offset": _external({"location": "m.onnx", "offset": "-5"}),
    "data with a huge offset": _external({"location": "m.onnx", "offset": "9" * 5000}),
    "data with a huge length": _external({"location": "m.onnx", "length": str(2**63)}),
    "data with our own mark": _external({"onnxhybrid.span": "0,99999999"}),
    "data with a broken mark": _external({"onnxhybrid.span": ",,"}),
    "data with an encoded mark": _external({"onnxhybrid.span": "0,2304", "onnxhybrid.encoded": "int64_data"}),
    "hidden data": _external({"location": ".ssh/id_rsa"}, lambda folder: (folder / ".ssh").mkdir()),
    "the model is a pipe": os.mkfifo,
    "the model is a folder": lambda path: path.mkdir(),
    "the model is a circle": lambda path: path.symlink_to(path.name),
    "the model is a device": lambda path: path.symlink_to("/dev/zero"),
    "nothing": lambda path: path.write_bytes(b"") and None,
    "zeros": lambda path: path.write_bytes(bytes(100_000)) and None,
}

MODELS: dict[str, Callable[[], ModelProto | bytes]] = {
    "an empty message": ModelProto,
    "an empty graph": lambda: wrapped([], [], []),
    "only an output": lambda: wrapped([], [], [value("y")]),
    "no imports": _changed(dense, lambda p: p.ClearField("opset_import")),
    "a node without anything": _changed(dense, lambda p: p.graph.node.add()),
    "an output of its own input": lambda: wrapped([helper.make_node("Relu", ["y"], ["y"])], [], [value("y")]),
    "a circle": lambda: wrapped(
        [helper.make_node("Relu", ["b"], ["y"]), helper.make_node("Relu", ["y"], ["b"])], [value("x")], [value("y")]
    ),
    "a name twice": _changed(dense, lambda p: p.graph.node.append(p.graph.node[0])),
    "deep branches": lambda: _nested(24),
    "deeper branches": lambda: _nested(29),
    "many nodes": lambda: _many(5_000),
    "many nodes backwards": lambda: _backwards(3_000),
    "many odd nodes": lambda: _many(5_000, "Nothing"),
    "many sequences": lambda: _many(300, "SequenceConstruct"),
    "a token through a long chain": _token_chain,
    "a huge shape": _changed(dense, lambda p: setattr(_sizes(p)[0], "dim_value", 2**62)),
    "many sizes": _changed(dense, lambda p: [_sizes(p).add(dim_value=1) for _ in range(100_000)]),
    "a weight of many sizes": _changed(dense, lambda p: p.graph.initializer[0].dims.extend([1] * 50_000)),
    "an endless weight": _changed(dense, lambda p: p.graph.initializer[0].dims.extend([2**40] * 3)),
    "a constant of a huge shape": lambda: wrapped(
        [helper.make_node("ConstantOfShape", ["s"], ["y"])],
        [value("x")],
        [value("y")],
        [numpy_helper.from_array(np.array([2**40, 2**10], np.int64), "s")],
    ),
    "a range without end": lambda: wrapped(
        [helper.make_node("Range", ["a", "b", "c"], ["y"])],
        [value("x")],
        [value("y", INT64)],
        [numpy_helper.from_array(np.array(n, np.int64), k) for k, n in (("a", 0), ("b", 2**62), ("c", 1))],
    ),
    "a split into a great many": lambda: wrapped(
        [helper.make_node("Split", ["x"], ["y"], num_outputs=2**40)], [value("x")], [value("y")], opsets={"": 18}
    ),
    "a call of a function by itself": _changed(calling, _call_itself),
    "a function twice": _changed(calling, lambda p: p.functions.append(p.functions[0])),
    "a function without a body": _changed(calling, lambda p: p.functions[1].ClearField("node")),
    "a function without imports": _changed(calling, lambda p: p.functions[1].ClearField("opset_import")),
    "a function with names twice": _changed(calling, lambda p: p.functions[1].input.extend(["a", "a"])),
    "a function in the standard domain": _changed(calling, lambda p: p.functions[1].__setattr__("domain", "")),
    "a loop without a body": _changed(looping, lambda p: p.graph.node[0].ClearField("attribute")),
    "a loop with an empty body": _changed(looping, lambda p: p.graph.node[0].attribute[0].g.Clear()),
    "an If without branches": _changed(branching, lambda p: p.graph.node[0].ClearField("attribute")),
    "an If with one branch": _changed(branching, lambda p: p.graph.node[0].attribute.pop()),
    "branches without outputs": _changed(branching, lambda p: p.graph.node[0].attribute[0].g.ClearField("output")),
    "an If without a condition": _changed(branching, lambda p: p.graph.node[0].ClearField("input")),
    "a comparison of nothing": lambda: wrapped([helper.make_node("Equal", [], ["y"])], [value("x")], [value("y")]),
    "many attributes": _changed(
        dense, lambda p: p.graph.node[2].attribute.extend([helper.make_attribute(f"a{n}", n) for n in range(20_000)])
    ),
    "a label encoder of another kind": _changed(
        classical, lambda p: p.graph.node[0].attribute[0].__setattr__("type", AttributeProto.STRINGS)
    ),
    "a sparse weight that is none": _changed(dense, lambda p: p.graph.sparse_initializer.add().dims.extend([2**40])),
    "training information": _changed(dense, lambda p: p.training_info.add().initialization.node.add(op_type="X")),
    "quantization of nothing": _changed(dense, lambda p: p.graph.quantization_annotation.add(tensor_name="nothing")),
    "a long documentation": _changed(dense, lambda p: setattr(p, "doc_string", "eyJ-" * 500_000)),
    "metadata twice": _changed(dense, lambda p: [p.metadata_props.add(key="a", value="b") for _ in range(2)]),
    "a text that is no UTF-8": lambda: dense().SerializeToString().replace(b"\x01h", b"\x01\xff"),
    "many unknown fields": lambda: dense().SerializeToString() + b"\xfa\x3f\x02ab" * 50_000,
    "many graphs": lambda: dense().SerializeToString() * 50,
    "a group that never ends": lambda: dense().SerializeToString() + b"\x0b" * 10_000,
    "deep messages": lambda: b"\x3a\xff\x7f" * 2000,
    "a text of JSON": lambda: b'{"graph": ' * 1000,
    "a remote node without attributes": _changed(
        remote, lambda p: [n.ClearField("attribute") for n in p.graph.node if n.domain == "ai.onnxhybrid"] and None
    ),
    **{
        f"a remote call whose {name} is {label}": _changed(remote, _remote_attribute(name, text))
        for name in ("input_names", "output_names", "endpoint", "protocol", "auth", "model")
        for label, text in (("deep", DEEP), ("odd", "\n[1,{}]"), ("long", '"' + "x" * 200_000 + '"'), ("a URL", "http://[::1"))
    },
    **{
        f"an Einsum of {equation[:9]!r}": partial(_einsum, opset, equation)
        for opset, equation in ((28, "["), (17, "i->"), (22, "..."), (22, "i,,->->"), (21, "i" * 100_000))
    },
    **{
        f"an old model with {operator} {opset}": partial(_aged, operator, opset)
        for operator, opset in (
            ("Upsample", 7), ("Upsample", 9), ("Slice", 9), ("Pad", 2), ("BatchNormalization", 6), ("Dropout", 6),
            ("Clip", 6), ("TopK", 1), ("Split", 11), ("Gemm", 6), ("Concat", 3), ("Scatter", 9), ("Cast", 5),
            ("ReduceSum", 11), ("ArgMax", 11), ("Softmax", 11), ("Loop", 1), ("Scan", 8), ("RNN", 6), ("GRU", 3),
        )
    },
}  # fmt: skip


def corpus() -> Iterator[tuple[str, Make]]:
    """Every hostile file."""
    yield from FILES.items()
    yield from ((name, _written(make)) for name, make in MODELS.items())
    for seed in range(150):
        yield f"bytes {seed}", _written(partial(flipped, seed))
    for seed in range(250):
        yield f"nodes {seed}", _written(partial(odd_nodes, seed))
