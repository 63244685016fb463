"""Merge and run the hybrid: the three shapes of the published merge script, each of them one call.

    python samples/merge_hybrid.py

A tiny detector runs on the device, a large one is served as `yolo` by the protocol of Triton, under names that an
exporter gave its tensors: `input.1` and `218`. The proxies are made twice, with `oh.remote` and from files with the old
operators as the script writes them. Then the same with speech: a small recogniser beside OpenAI's audio operator.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import speech
from onnx import TensorProto, helper, numpy_helper
from written import graph

import onnxhybrid as oh

Array = Any

# -- the parts: stand-ins of the shapes that tinyyolov2-8.onnx and yolov2-coco have ------------------------------------


def detector(names: tuple[str, str], hidden: int, channels: int, opset: int) -> oh.Model:
    """A detector with random weights: image float32[n, 3, 416, 416] -> grid float32[n, channels, 13, 13].

    It is sure (the logit in channel 4) of what is bright.
    """
    random = np.random.default_rng(0)
    first = random.normal(0, 0.1, (hidden, 3, 4, 4)).astype(np.float32)
    second = random.normal(0, 0.1, (channels, hidden, 1, 1)).astype(np.float32)
    first[0], second[4] = 1 / 48, 0
    second[4, 0] = 12
    bias = np.where(np.arange(channels) == 4, -6, 0).astype(np.float32)
    image, grid = names
    nodes = [
        helper.make_node("AveragePool", [image], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["pooled", "first"], ["hidden"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("LeakyRelu", ["hidden"], ["active"], alpha=0.1),
        helper.make_node("Conv", ["active", "second", "bias"], [grid], kernel_shape=[1, 1]),
    ]
    detecting = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info(image, TensorProto.FLOAT, [-1, 3, 416, 416])],
        [helper.make_tensor_value_info(grid, TensorProto.FLOAT, [-1, -1, 13, 13])],
        [numpy_helper.from_array(v, n) for n, v in (("first", first), ("second", second), ("bias", bias))],
    )
    return oh.Model.from_proto(
        helper.make_model(detecting, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    )


# As the published script writes it, but for the addresses.
def CreateYoloProxyModel(model_uri: str, folder: Path) -> Path:  # noqa: D103, N802
    auth_token = helper.make_tensor_value_info("auth_token", TensorProto.STRING, [-1])
    model_input = helper.make_tensor_value_info("image", TensorProto.FLOAT, [-1, 3, 416, 416])
    model_output = helper.make_tensor_value_info("grid", TensorProto.FLOAT, [-1, -1, 13, 13])
    identity_input = helper.make_node("Identity", ["image"], ["input.1"])
    invoker = helper.make_node(
        "AzureTritonInvoker",
        ["auth_token", "input.1"],
        ["218"],  # the yolov2-coco output
        domain="com.microsoft.extensions",
        name="triton_invoker",
        model_uri=model_uri,
        model_name="yolo",
        model_version="1",
        verbose="1",
    )
    identity_output = helper.make_node("Identity", ["218"], ["grid"])
    proxy = helper.make_graph(
        [identity_input, invoker, identity_output], "azure_proxy_graph", [auth_token, model_input], [model_output]
    )
    model = helper.make_model(proxy, opset_imports=[helper.make_operatorsetid("com.microsoft.extensions", 1)])
    onnx.save(model, folder / "yolo_azure_proxy.onnx")
    return folder / "yolo_azure_proxy.onnx"


# As the published script writes it, but for the addresses.
def GetOpenAIWhisperProxyModel(model_uri: str, folder: Path) -> Path:  # noqa: D103, N802
    stream_input = helper.make_tensor_value_info("audio_stream", TensorProto.UINT8, [1, None])
    # The script says ["N", "text"], which runs too, with a warning: the answer has one axis.
    model_output = helper.make_tensor_value_info("str", TensorProto.STRING, ["N"])
    shape = helper.make_tensor("const_0", TensorProto.INT64, [1], [-1])
    stream_input_shape = helper.make_node("Constant", [], ["stream_input_shape"], value=shape)
    reshape_input = helper.make_node("Reshape", ["audio_stream", "stream_input_shape"], ["file"])

    auth_token = helper.make_tensor_value_info("auth_token", TensorProto.STRING, [1])
    model = helper.make_tensor_value_info("model_name", TensorProto.STRING, [1])
    response_format = helper.make_tensor_value_info("response_format", TensorProto.STRING, [-1])

    invoker = helper.make_node(
        "OpenAIAudioToText",
        ["auth_token", "model_name", "response_format", "file"],
        ["transcriptions"],
        domain="com.microsoft.extensions",
        name="audio_invoker",
        model_uri=model_uri,
        audio_format="wav",
        verbose=False,
    )
    identity_output = helper.make_node("Identity", ["transcriptions"], ["str"])
    inputs = [auth_token, model, response_format, stream_input]
    nodes = [stream_input_shape, reshape_input, invoker, identity_output]
    proxy = helper.make_graph(nodes, "graph", inputs, [model_output])
    proto = helper.make_model(proxy, opset_imports=[helper.make_operatorsetid("com.microsoft.extensions", 1)])
    onnx.save(proto, folder / "openai_audio_proxy.onnx")
    return folder / "openai_audio_proxy.onnx"


# -- the hybrids -------------------------------------------------------------------------------------------------------


def sure_of_something() -> oh.Model:
    """The judge that the script leaves to its reader, as a model: is the tiny detector sure of anything it sees?"""
    return graph("""
    <ir_version: 8, opset_import: ["": 16]>
    judge (float[n, channels, 13, 13] grid, float threshold) => (bool is_good_enough)
    <int64[1] four = {4}, float threshold = {0.7}>
    {
        confidence = Gather <axis = 1> (grid, four)
        most = ReduceMax <keepdims = 0> (confidence)
        probability = Sigmoid (most)
        is_good_enough = GreaterOrEqual (probability, threshold)
    }
    """)


def merged(edge: oh.Model, proxy: oh.Model, judge: oh.Model) -> dict[str, oh.Model]:
    """The script's three functions. What only the judge reads is no output of the hybrids."""
    answers = edge.select([spec.name for spec in proxy.outputs])
    return {
        "MergeWithIf": oh.switch("bool_cond_if", then=answers, else_=proxy),
        "MergeWithAnd": oh.parallel(edge=answers, cloud=proxy),
        "MergeWithIfThen": oh.cascade(edge, proxy, accept=judge),
    }


# -- running them ------------------------------------------------------------------------------------------------------


def show_detectors(url: str, folder: Path) -> None:
    """Each shape with each proxy, on a bright picture and on a dim one."""
    tiny = detector(("image", "grid"), hidden=8, channels=125, opset=8)
    proxies = {
        "oh.remote.triton": oh.remote.triton(url, "yolo").rename({"input.1": "image", "218": "grid"}),
        "the old file": oh.legacy.upgrade(oh.load(CreateYoloProxyModel(url, folder))),
    }
    pictures = {"bright": np.full((1, 3, 416, 416), 0.9, np.float32), "dim": np.full((1, 3, 416, 416), 0.4, np.float32)}
    print(f"{'':<16} {'proxy from':<17}{'input':<24}{'requests':>8}  output")
    for made, proxy in proxies.items():
        for shape, hybrid in merged(tiny, proxy, sure_of_something()).items():
            for name, picture in pictures.items():
                for feeds, label in ways(shape, {"image": picture}, name):
                    outputs, calls = run(hybrid, {**feeds, "auth_token": np.array([""])}, folder)
                    shapes = ", ".join(f"{output} {array.shape}" for output, array in outputs.items())
                    print(f"{shape:<16} {made:<17}{label:<24}{calls:>8}  {shapes}")


def show_recognisers(url: str, folder: Path) -> None:
    """Each shape with the old file that calls OpenAI's audio service."""
    tiny = speech.recogniser(speech.VOICES[:1]).rename({"text": "str"})
    proxy = oh.legacy.upgrade(oh.load(GetOpenAIWhisperProxyModel(f"{url}/v1/audio/transcriptions", folder)))
    hybrids = merged(tiny, proxy, oh.judge.max_probability("probs") >= 0.6)
    texts = {"auth_token": "", "model_name": "whisper-1", "response_format": "text"}
    options = {name: np.array([text]) for name, text in texts.items()}
    spoken = (("turn the lights off", "en-us"), ("what is the weather", "en-gb-scotland"))
    for shape, hybrid in hybrids.items():
        for command, voice in spoken:
            stream = {"audio_stream": speech.as_stream(speech.say(command, voice))}
            for feeds, label in ways(shape, stream, voice):
                outputs, calls = run(hybrid, {**feeds, **options}, folder)
                heard = ", ".join(f"{output} {array.reshape(-1)[0]!r}" for output, array in outputs.items())
                print(f"{shape:<16} {'the old file':<17}{label:<24}{calls:>8}  {heard}")


def ways(shape: str, feeds: dict[str, Array], label: str) -> Iterator[tuple[dict[str, Array], str]]:
    """The feeds, and for a switch both positions of it."""
    if shape != "MergeWithIf":
        yield feeds, label
        return
    for local in (True, False):
        yield {**feeds, "bool_cond_if": np.array(local)}, f"{label}, {local}"


def run(hybrid: oh.Model, feeds: dict[str, Array], folder: Path) -> tuple[dict[str, Array], int]:
    """Save and run a hybrid: its outputs, and how many requests it made."""
    hybrid.save(folder / "hybrid.onnx")
    session = oh.Session(folder / "hybrid.onnx")
    taken = {spec.name for spec in hybrid.inputs}
    outputs = session.run(None, {name: value for name, value in feeds.items() if name in taken})
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, outputs, strict=True)), sum(node.calls for node in session.stats().values())


@contextmanager
def services() -> Iterator[str]:
    """The large models behind the services' protocols: Triton's and OpenAI's."""
    large = detector(("input.1", "218"), hidden=256, channels=425, opset=11)
    words = speech.recogniser(speech.VOICES)
    with oh.endpoint.serve({"yolo": large, "whisper-1": speech.as_file(words)}) as endpoint:
        yield endpoint.url


def main() -> None:
    """Serve, merge, run."""
    with services() as url, tempfile.TemporaryDirectory() as folder:
        show_detectors(url, Path(folder))
        print()
        show_recognisers(url, Path(folder))


if __name__ == "__main__":
    main()
