"""Recipes, each beside what is the same in Python; they are composed in a folder with the models of `models`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests.strategies import of_graph

URL = "https://gpu.example"
IMAGE = oh.TensorSpec("image", "float32", ("n", 64))
LABEL = oh.TensorSpec("label", "int64", ("n",))
PROBABILITIES = oh.TensorSpec("probabilities", "float32", ("n", 10))

CLOUD = """
remote.triton:
  url: https://gpu.example
  model: digits
  inputs: [{name: image, dtype: float32, shape: [n, 64]}]
  outputs:
    - {name: label, dtype: int64, shape: [n]}
    - {name: probabilities, dtype: float32, shape: [n, 10]}
"""


def models(folder: Path) -> None:
    """Write small.onnx, large.onnx (image -> label, probabilities), scale.onnx (image -> image) and is_large.onnx."""
    for seed, name in enumerate(("small.onnx", "large.onnx")):
        classifier(seed).save(folder / name)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])
    half = numpy_helper.from_array(np.array(0.5, np.float32), "half")
    scaled = helper.make_tensor_value_info("scaled", TensorProto.FLOAT, ["n", 64])
    node = helper.make_node("Mul", ["image", "half"], ["scaled"])
    of_graph(helper.make_graph([node], "scale", [image], [scaled], [half])).save(folder / "scale.onnx")
    rows = [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "half"], ["large"]),
    ]
    said = helper.make_tensor_value_info("large", TensorProto.BOOL, [])
    of_graph(helper.make_graph(rows, "is large", [image], [said], [half])).save(folder / "is_large.onnx")


def classifier(seed: int) -> oh.Model:
    """A classifier: image float32[n, 64] -> label int64[n], probabilities float32[n, 10]."""
    weight = numpy_helper.from_array(np.random.default_rng(seed).normal(size=(64, 10)).astype(np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=-1, keepdims=0),
    ]
    outputs = [spec.to_value_info() for spec in (LABEL, PROBABILITIES)]
    return of_graph(helper.make_graph(nodes, "classifier", [IMAGE.to_value_info()], outputs, [weight]))


def cloud(**settings: Any) -> oh.Model:
    """The Model that CLOUD says, with further settings."""
    return oh.remote.triton(URL, "digits", inputs=[IMAGE], outputs=[LABEL, PROBABILITIES], **settings)


def indented(text: str, spaces: int = 4) -> str:
    """A recipe as it stands below a key."""
    return "".join(f"{' ' * spaces}{line}\n" for line in text.strip("\n").splitlines())


def with_settings(settings: str) -> str:
    """CLOUD with further settings."""
    return CLOUD + indented(settings, 2)


def _cascade(rest: str, remote: str = CLOUD) -> str:
    return f"cascade:\n  local: {{load: small.onnx}}\n  remote:\n{indented(remote)}{indented(rest, 2)}"


def _sure(at: float = 0.8) -> oh.Model:
    return oh.judge.max_probability("probabilities") >= at


SURE = 'accept: {judge.max_probability: {tensor: probabilities, ">=": 0.8}}'


def small() -> oh.Model:
    """The local model."""
    return oh.load("small.onnx")


def large() -> oh.Model:
    """The larger one."""
    return oh.load("large.onnx")


Pairs = dict[str, tuple[str, Callable[[], oh.Model]]]

COMPOSITIONS: Pairs = {
    "load": ("load: small.onnx", small),
    "load by name": ("load: {path: small.onnx}", small),
    "chain": (
        "chain: [{load: scale.onnx}, {rename: {model: {load: small.onnx}, names: {image: scaled}}}]",
        lambda: oh.chain(oh.load("scale.onnx"), small().rename({"image": "scaled"})),
    ),
    "chain with connections": (
        "chain: {models: [{load: scale.onnx}, {load: small.onnx}], connect: {image: scaled}, keep: [scaled]}",
        lambda: oh.chain(oh.load("scale.onnx"), small(), connect={"image": "scaled"}, keep=["scaled"]),
    ),
    "parallel": (
        f"parallel:\n  edge: {{load: small.onnx}}\n  cloud:\n{indented(CLOUD)}",
        lambda: oh.parallel(edge=small(), cloud=cloud()),
    ),
    "switch": (
        "switch: {condition: wanted, then: {load: small.onnx}, else_: {load: large.onnx}}",
        lambda: oh.switch("wanted", then=small(), else_=large()),
    ),
    "switch by a model": (
        "switch: {condition: {load: is_large.onnx}, then: {load: small.onnx}, else_: {load: large.onnx}}",
        lambda: oh.switch(oh.load("is_large.onnx"), then=small(), else_=large()),
    ),
    "route": (
        "route: {index: which, models: [{load: small.onnx}, {load: large.onnx}]}",
        lambda: oh.route("which", [small(), large()]),
    ),
    "cascade": (_cascade(SURE), lambda: oh.cascade(small(), cloud(), accept=_sure())),
    "cascade of rows": (
        _cascade(f"{SURE}\nrows: true\nreport: true\nspeculate: true"),
        lambda: oh.cascade(small(), cloud(), accept=_sure(), rows=True, report=True, speculate=True),
    ),
    "fallback": (
        f"fallback:\n  primary:\n{indented(CLOUD)}  backup: {{load: small.onnx}}\n  report: true",
        lambda: oh.fallback(cloud(), small(), report=True),
    ),
    "ensemble": (
        "ensemble: [{load: scale.onnx}, {load: scale.onnx}]",
        lambda: oh.ensemble([oh.load("scale.onnx"), oh.load("scale.onnx")]),
    ),
    "ensemble by votes": (
        (
            "ensemble: {models: [{select: {model: {load: small.onnx}, outputs: [label]}}, {select: {model: {load: "
            "large.onnx}, outputs: [label]}}], combine: vote}"
        ),
        lambda: oh.ensemble([small().select(["label"]), large().select(["label"])], combine="vote"),
    ),
    "split.head": (
        "split.head: {model: {load: small.onnx}, at: [logits]}",
        lambda: oh.split(small(), at=["logits"])[0],
    ),
    "split.tail": (
        "split.tail: {model: {load: small.onnx}, at: [logits]}",
        lambda: oh.split(small(), at=["logits"])[1],
    ),
    "splice": (
        (
            "splice: {model: {load: small.onnx}, inputs: [image], outputs: [logits], replacement: {split.head: "
            "{model: {load: large.onnx}, at: [logits]}}}"
        ),
        lambda: oh.splice(
            small(), inputs=["image"], outputs=["logits"], replacement=oh.split(large(), at=["logits"])[0]
        ),
    ),
    "offload": (
        (
            "offload: {model: {load: small.onnx}, at: [logits], to: {split.tail: {model: {load: large.onnx}, "
            "at: [logits]}}}"
        ),
        lambda: oh.offload(small(), at=["logits"], to=lambda tail: oh.split(large(), at=["logits"])[1]),
    ),
    "overlap": (
        f"overlap:\n  parallel:\n    edge: {{load: small.onnx}}\n    cloud:\n{indented(CLOUD, 6)}",
        lambda: oh.overlap(oh.parallel(edge=small(), cloud=cloud())),
    ),
    "rename": (
        "rename: {model: {load: small.onnx}, names: {probabilities: scores}}",
        lambda: small().rename({"probabilities": "scores"}),
    ),
    "select": ("select: {model: {load: small.onnx}, outputs: [label]}", lambda: small().select(["label"])),
    "prefix": (
        "prefix: {model: {load: small.onnx}, prefix: a/, inputs: false}",
        lambda: small().prefix("a/", inputs=False),
    ),
    "expose": ("expose: {model: {load: small.onnx}, names: [logits]}", lambda: small().expose(["logits"])),
    "cast": ("cast: {model: {load: small.onnx}, dtypes: {label: int32}}", lambda: small().cast({"label": "int32"})),
    "declare": (
        "declare: {model: {load: small.onnx}, shapes: {image: [m, 64]}}",
        lambda: small().declare({"image": ("m", 64)}),
    ),
    "expand_dims": (
        "expand_dims: {model: {load: small.onnx}, axis: -1, names: [label]}",
        lambda: small().expand_dims(-1, ["label"]),
    ),
    "retarget": (
        f"retarget:\n  model:\n{indented(CLOUD)}  urls: {{https://gpu.example: https://b.example}}",
        lambda: cloud().retarget({URL: "https://b.example"}),
    ),
    "with_metadata": (
        "with_metadata: {model: {load: small.onnx}, metadata: {owner: 'no'}}",
        lambda: small().with_metadata({"owner": "no"}),
    ),
    "legacy.upgrade": ("legacy.upgrade: {load: small.onnx}", lambda: oh.legacy.upgrade(small())),
    "legacy.export": ("legacy.export: {load: small.onnx}", lambda: oh.legacy.export(small())),
}

COMPOSITIONS["bind"] = (
    "bind:\n  values: {threshold: 0.5}\n  model:\n"
    + indented(_cascade('accept: {judge.max_probability: {tensor: probabilities, ">=": {Input: threshold}}}')),
    lambda: oh.cascade(
        small(), cloud(), accept=oh.judge.max_probability("probabilities") >= oh.Input("threshold")
    ).bind(threshold=0.5),
)

JUDGES: Pairs = {
    "judge.max_probability": (
        'judge.max_probability: {tensor: probabilities, softmax: true, dtype: float64, ">": 0.25}',
        lambda: oh.judge.max_probability("probabilities", softmax=True, dtype="float64") > 0.25,
    ),
    "judge.margin": (
        'judge.margin: {tensor: probabilities, ">=": 0.1}',
        lambda: oh.judge.margin("probabilities") >= 0.1,
    ),
    "judge.entropy": (
        'judge.entropy: {tensor: probabilities, "<=": 1}',
        lambda: oh.judge.entropy("probabilities") <= 1,
    ),
    "judge.logit_max": (
        'judge.logit_max: {tensor: probabilities, "<": 3}',
        lambda: oh.judge.logit_max("probabilities") < 3,
    ),
    "judge.value": (
        'judge.value: {tensor: label, ">=": {Input: {name: least, default: 2}}}',
        lambda: oh.judge.value("label") >= oh.Input("least", 2),
    ),
    "judge.equals": ("judge.equals: {tensor: label, value: 3}", lambda: oh.judge.equals("label", 3)),
    "judge.equals an input": (
        "judge.equals: {tensor: label, value: {Input: {name: wanted, default: 3}}}",
        lambda: oh.judge.equals("label", oh.Input("wanted", 3)),
    ),
    "judge.length": (
        'judge.length: {tensor: probabilities, axis: 0, "<=": 4}',
        lambda: oh.judge.length("probabilities", axis=0) <= 4,
    ),
    "&": (
        '"&": [{judge.equals: {tensor: label, value: 3}}, {judge.margin: {tensor: probabilities, ">": 0.1}}]',
        lambda: oh.judge.equals("label", 3) & (oh.judge.margin("probabilities") > 0.1),
    ),
    "|": (
        (
            '"|":\n  - judge.equals: {tensor: label, value: 3}\n  - judge.equals: {tensor: label, value: 4}\n'
            "  - judge.equals: {tensor: label, value: 5}"
        ),
        lambda: oh.judge.equals("label", 3) | oh.judge.equals("label", 4) | oh.judge.equals("label", 5),
    ),
    "~": ('"~": {judge.equals: {tensor: label, value: 3}}', lambda: ~oh.judge.equals("label", 3)),
}
"""Judges of the classifier's outputs; one of each word."""


def _texts(**settings: Any) -> oh.Model:
    return oh.remote.openai_chat("gpt", url="http://127.0.0.1:9/v1", **settings)


REMOTES: Pairs = {
    "judge.length of texts": (
        'judge.length: {tensor: text, "<=": 40}',
        lambda: oh.judge.length("text") <= 40,
    ),
    "remote.triton": (
        with_settings(
            "version: '1'\nbinary: false\n"
            "parameters: {priority: {Input: {default: 3}}, sequence_id: 7, tag: {Input: tag}}\n"
            "timeout: 3\nconnect_timeout: 0.5\nattempt_timeout: 1\nretries: 0\nbatch: 8\non_error: flag\nname: far\n"
            "hedge: {after: 0.2s, most: 0.1}\n"
            "headers: {X-A: b, X-B: {Credential: apim}, X-C: {Input: {name: c, default: d}}}\n"
            "auth: {Credential: {name: gpu, scheme: api-key}}"
        ),
        lambda: cloud(
            version="1", binary=False, timeout=3, connect_timeout=0.5, attempt_timeout=1, retries=0, batch=8,
            parameters={"priority": oh.Input(default=3), "sequence_id": 7, "tag": oh.Input("tag")}, on_error="flag",
            name="far", hedge=oh.Hedge("0.2s", 0.1), auth=oh.Credential("gpu", "api-key"),
            headers={"X-A": "b", "X-B": oh.Credential("apim"), "X-C": oh.Input("c", "d")},
        ),
    ),
    "remote.triton by name": (
        ("remote.triton: {url: {Endpoint: {name: gpu, default: 'http://a', order: spread}}, model: m, bytes: [x], "
        "inputs: [{name: x, dtype: str, shape: [1], optional: true}], "
        "outputs: [{name: y, dtype: float32, shape: null}]}"),
        lambda: oh.remote.triton(
            oh.Endpoint("gpu", "http://a", "spread"), "m", bytes=["x"],
            inputs=[oh.TensorSpec("x", "str", [1], optional=True)], outputs=[oh.TensorSpec("y", "float32", None)],
        ),
    ),
    "remote.openai_chat": (
        ("remote.openai_chat: {model: gpt, url: 'http://127.0.0.1:9/v1', "
         "system: {Input: {name: role, default: brief}}, "
        "temperature: 0, max_completion_tokens: {Input: most}, auth: {Input: token}, extra: {seed: 7, stop: [a, b], "
        "user: {Input: user}, deep: {a: {b: null}}}}"),
        lambda: _texts(
            system=oh.Input("role", "brief"), temperature=0, max_completion_tokens=oh.Input("most"),
            auth=oh.Input("token"),
            extra={"seed": 7, "stop": ["a", "b"], "user": oh.Input("user"), "deep": {"a": {"b": None}}},
        ),
    ),
    "remote.openai_chat alone": ("remote.openai_chat: gpt", lambda: oh.remote.openai_chat("gpt")),
    "remote.openai_audio": (
        "remote.openai_audio: {language: {Input: {default: en}}, translate: false}",
        lambda: oh.remote.openai_audio(language=oh.Input(default="en"), translate=False),
    ),
    "remote.openai_responses": (
        "remote.openai_responses: {model: m, instructions: be brief, max_output_tokens: 5}",
        lambda: oh.remote.openai_responses("m", instructions="be brief", max_output_tokens=5),
    ),
    "remote.openai_embeddings": (
        "remote.openai_embeddings: {model: m, dimensions: 8, encoding_format: null}",
        lambda: oh.remote.openai_embeddings("m", dimensions=8, encoding_format=None),
    ),
    "remote.azure_openai_audio": (
        ("remote.azure_openai_audio: {resource_url: 'https://a.openai.azure.com', deployment: d, "
        "api_version: 2024-10-21}"),
        lambda: oh.remote.azure_openai_audio("https://a.openai.azure.com", "d", api_version="2024-10-21"),
    ),
    "remote.azure_openai_chat": (
        "remote.azure_openai_chat: {resource_url: 'https://a.openai.azure.com', deployment: d, api_version: v1}",
        lambda: oh.remote.azure_openai_chat("https://a.openai.azure.com", "d", api_version="v1"),
    ),
    "remote.azure_openai_embeddings": (
        "remote.azure_openai_embeddings: {resource_url: 'https://a.openai.azure.com', deployment: d, api_version: v1}",
        lambda: oh.remote.azure_openai_embeddings("https://a.openai.azure.com", "d", api_version="v1"),
    ),
    "remote.azureml": (
        ("remote.azureml: {scoring_url: 'https://a.example/score', inputs: [{name: x, dtype: float32, shape: [n]}], "
        "outputs: [{name: y, dtype: float32, shape: [n]}], form: mlflow, deployment: blue}"),
        lambda: oh.remote.azureml(
            "https://a.example/score", inputs=[oh.TensorSpec("x", "float32", ["n"])],
            outputs=[oh.TensorSpec("y", "float32", ["n"])], form="mlflow", deployment="blue",
        ),
    ),
}  # fmt: skip

PAIRS: Pairs = {**COMPOSITIONS, **JUDGES, **REMOTES}
