"""Models that reports are made of in tests."""

from __future__ import annotations

import functools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import of_graph

_SHARP = np.random.default_rng(2).normal(size=(64, 10))


def plain(seed: int = 0, blur: float = 0.5, name: str = "digits") -> oh.Model:
    """A classifier: image float32[n, 64] -> label int64[n], probabilities float32[n, 10]."""
    weight = _SHARP + blur * np.random.default_rng(seed).normal(size=_SHARP.shape)
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["logits"], name="dense"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="softmax", axis=-1),
        helper.make_node("ArgMax", ["logits"], ["label"], name="argmax", axis=-1, keepdims=0),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])
    return of_graph(
        helper.make_graph(nodes, name, [image], outputs, [numpy_helper.from_array(weight.astype("f"), "w")])
    )


def cloud(url: str = "https://gpu.example", model: str = "digits", auth: str | None = "gpu-key") -> oh.Model:
    """The same, asked of a server."""
    return oh.remote.triton(
        url,
        model,
        inputs=[oh.TensorSpec("image", "float32", ("n", 64))],
        outputs=[oh.TensorSpec("label", "int64", ("n",)), oh.TensorSpec("probabilities", "float32", ("n", 10))],
        auth=None if auth is None else oh.Credential(auth),
    )


def cascade() -> oh.Model:
    """Local, and a remote model for what it is not sure of, with another local one where that fails."""
    judge = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.8)
    return oh.fallback(oh.cascade(plain(), cloud(), accept=judge, rows=True), plain(1, name="digits_backup"))


@functools.cache
def nested() -> oh.Model:
    """Twenty remote calls, up to four compositions inside each other."""
    judge = oh.judge.max_probability("probabilities") >= 0.9
    both = judge & (oh.judge.margin("probabilities") >= 0.2)

    def guarded(number: int) -> oh.Model:
        remote = cloud(f"https://region-{number}.inference.example.com?deployment=blue", f"digits-{number}")
        return oh.fallback(oh.cascade(plain(), remote, accept=judge, rows=True), plain(1))

    parts = {
        f"model{k}": oh.cascade(plain(), cloud(f"https://region-{k}.example"), accept=both, rows=True)
        for k in range(16)
    }
    tree = oh.parallel(north=oh.parallel(a=guarded(20), b=guarded(21)), south=oh.parallel(a=guarded(22), b=guarded(23)))
    return oh.parallel(whole=tree, **parts)


@functools.cache
def calibrated() -> oh.Calibration:
    """A cascade with a certificate; what is remote in it is a model beside it."""
    images = np.random.default_rng(3).normal(size=(3000, 64)).astype(np.float32)
    large = plain(blur=0)
    labels = oh.Session(large).run(["label"], {"image": images})[0]
    accept = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.8)
    hybrid = oh.cascade(plain(), large, accept=accept, rows=True)
    return oh.calibrate(hybrid, {"image": images}, labels, output="label", loss=0.05, cost=0.002, progress=False)


def deep(count: int, name: str = "deep") -> oh.Model:
    """A chain of so many nodes."""
    nodes = [
        helper.make_node(("Relu", "Abs", "Neg")[k % 3], [f"t{k}"], [f"t{k + 1}"], name=f"{name}/{k}")
        for k in range(count)
    ]
    ends = [helper.make_tensor_value_info(f"t{k}", TensorProto.FLOAT, ["n"]) for k in (0, count)]
    return of_graph(helper.make_graph(nodes, name, ends[:1], ends[1:]))


STEAL = '<script>stolen=1</script><img src=x onerror="stolen=2"><svg onload=stolen=3>"\'&--></title></style>]]>'


def hostile() -> oh.Model:
    """A composition in which every text that a stranger chooses is markup."""
    local = plain(name=STEAL).rename({"image": f"image{STEAL}", "label": f"label\u202e{STEAL}"})
    proto = local.to_proto()
    for node in proto.graph.node:
        node.name += STEAL
        node.doc_string = STEAL
    proto.producer_name = proto.doc_string = proto.graph.doc_string = STEAL
    local = oh.Model.from_proto(proto).with_metadata({"author": STEAL, STEAL: STEAL, "onnxhybrid.noqa": STEAL})
    remote = cloud("https://gpu.example", STEAL).rename({"image": f"image{STEAL}", "label": f"label\u202e{STEAL}"})
    made = oh.cascade(local, remote, accept=oh.judge.max_probability("probabilities") >= 0.9)
    entry = made.metadata["onnxhybrid.parts"].replace('"graph": "', f'"graph": "{_escaped()}')
    certificate = f'{{"output": "{_escaped()}", "data": "{_escaped()}", "parts": {{"local": "{_escaped()}"}}}}'
    proto = made.to_proto()
    for prop in proto.metadata_props:
        prop.value = entry if prop.key == "onnxhybrid.parts" else prop.value
    proto.metadata_props.add(key="onnxhybrid.certificate", value=certificate)
    return oh.Model.from_proto(proto)


def _escaped() -> str:
    return STEAL.replace("\\", "\\\\").replace('"', '\\"')
