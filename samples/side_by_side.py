"""Edge and Azure side by side: the published program of the Azure execution provider, with one line changed.

    python samples/side_by_side.py

The Azure model runs asynchronously while the edge model runs on the device. Names, attributes and inputs are those of
the published program; its operator `OpenAIAudioToText` no longer exists, and `oh.Session` upgrades it. Then the same is
done with asyncio and with a future, and a judge picks the better of the two answers.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import speech
from onnx import TensorProto, helper
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime_extensions import get_library_path

import onnxhybrid as oh
from onnxhybrid.runtime import Picker


# Generate the local model: it takes what whisper's end-to-end model takes, and knows the words of one voice only.
def get_whiper_tiny() -> str:  # noqa: D103
    proto = speech.recogniser(speech.VOICES[:1]).to_proto()
    for name, kind in SEARCH.items():
        proto.graph.input.append(helper.make_tensor_value_info(name, kind, [1]))
    onnx.save(proto, "whisper_onnx_tiny_en_fp32_e2e.onnx")
    return "whisper_onnx_tiny_en_fp32_e2e.onnx"


SEARCH = {
    "max_length": TensorProto.INT32,
    "min_length": TensorProto.INT32,
    "num_beams": TensorProto.INT32,
    "num_return_sequences": TensorProto.INT32,
    "length_penalty": TensorProto.FLOAT,
    "repetition_penalty": TensorProto.FLOAT,
}


# Generate the azure model
def get_openai_audio_azure_model(model_uri: str) -> str:  # noqa: D103
    auth_token = helper.make_tensor_value_info("auth_token", TensorProto.STRING, [1])
    model = helper.make_tensor_value_info("model_name", TensorProto.STRING, [1])
    response_format = helper.make_tensor_value_info("response_format", TensorProto.STRING, [-1])
    file = helper.make_tensor_value_info("file", TensorProto.UINT8, [-1])

    transcriptions = helper.make_tensor_value_info("transcriptions", TensorProto.STRING, [-1])

    invoker = helper.make_node(
        "OpenAIAudioToText",
        ["auth_token", "model_name", "response_format", "file"],
        ["transcriptions"],
        domain="com.microsoft.extensions",
        name="audio_invoker",
        model_uri=model_uri,  # https://api.openai.com/v1/audio/transcriptions in the published program
        audio_format="wav",
        verbose=False,
    )

    graph = helper.make_graph([invoker], "graph", [auth_token, model, response_format, file], [transcriptions])
    proto = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_operatorsetid("com.microsoft.extensions", 1)]
    )
    onnx.save(proto, "openai_whisper_azure.onnx")
    return "openai_whisper_azure.onnx"


class RunAsyncState:
    """What a run in the background left."""

    def __init__(self) -> None:
        self.__event = threading.Event()
        self.__outputs: Any = None
        self.__err = ""

    def fill_outputs(self, outputs: Any, err: str) -> None:
        """Keep what the callback was given."""
        self.__outputs = outputs
        self.__err = err
        self.__event.set()

    def get_outputs(self) -> Any:
        """The outputs, or the failure."""
        if self.__err:
            raise RuntimeError(self.__err)
        return self.__outputs

    def wait(self, sec: float) -> None:
        """Wait until the run is over."""
        self.__event.wait(sec)


def azureRunCallback(outputs: Any, state: RunAsyncState, err: str) -> None:  # noqa: D103, N802
    state.fill_outputs(outputs, err)


def published_program(model_uri: str, audio_stream: Any) -> None:
    """The published program."""
    sess_opt = SessionOptions()
    sess_opt.register_custom_ops_library(get_library_path())

    azure_model_path = get_openai_audio_azure_model(model_uri)
    azure_model_sess = oh.Session(  # the line that changed: it was InferenceSession(azure_model_path, sess_opt, …)
        azure_model_path, sess_options=sess_opt, providers=["CPUExecutionProvider", "AzureExecutionProvider"]
    )  # load AzureEP

    azure_model_inputs = {
        "auth_token": np.array([os.getenv("AUDIO", "")]),  # read auth from env variable
        "model_name": np.array(["whisper-1"]),
        "response_format": np.array(["text"]),
        "file": audio_stream,
    }

    run_async_state = RunAsyncState()
    # infer azure model asynchronously
    azure_model_sess.run_async(None, azure_model_inputs, azureRunCallback, run_async_state)

    # in the same time, run the edge
    edge_model_path = get_whiper_tiny()
    edge_model_sess = InferenceSession(edge_model_path, sess_opt, providers=["CPUExecutionProvider"])

    edge_model_outputs = edge_model_sess.run(None, {
        "audio_stream": np.expand_dims(audio_stream, 0),
        "max_length": np.asarray([200], dtype=np.int32),
        "min_length": np.asarray([0], dtype=np.int32),
        "num_beams": np.asarray([2], dtype=np.int32),
        "num_return_sequences": np.asarray([1], dtype=np.int32),
        "length_penalty": np.asarray([1.0], dtype=np.float32),
        "repetition_penalty": np.asarray([1.0], dtype=np.float32),
    })  # fmt: skip

    print("\noutput from whisper tiny: ", edge_model_outputs)
    run_async_state.wait(10)
    print("\nresponse from openAI: ", run_async_state.get_outputs())
    # compare results and pick the better: the judge below does that


class SideBySide:
    """Both models at once, and the better answer."""

    def __init__(self, url: str) -> None:
        self.edge = oh.Session(speech.recogniser(speech.VOICES[:1]))  # registers the audio decoder's library by itself
        self.azure = oh.Session(oh.remote.openai_audio("whisper-1", url=url, auth=None))  # in place of the old operator
        self.better = Picker(oh.judge.max_probability("probs") >= 0.6)

    def with_a_future(self, audio_stream: Any) -> str:
        """The azure model on a thread of its own, the edge model on this one."""
        azure = self.azure.submit(None, {"file": audio_stream})
        edge = self.edge.run(["text", "probs"], {"audio_stream": audio_stream[np.newaxis]})
        return self.pick(edge, azure.result(timeout=10))

    async def with_asyncio(self, audio_stream: Any) -> str:
        """Both awaited."""
        azure = self.azure.arun(None, {"file": audio_stream})
        edge = self.edge.arun(["text", "probs"], {"audio_stream": audio_stream[np.newaxis]})
        return self.pick(*await asyncio.gather(edge, azure))

    def pick(self, edge: list[Any], azure: list[Any]) -> str:
        """The edge's text where the judge finds it sure enough, the service's where not."""
        text, probs = edge
        local, remote = {"text": text, "probs": probs}, {"text": azure[0]}
        picked = self.better(local, remote)
        who = "edge" if picked is local else "azure"
        return f"edge {text[0]!r} ({probs.max():.2f}), azure {azure[0][0]!r} -> {who}: {picked['text'][0]!r}"


def main() -> None:
    """Serve the large model, then run the program and its two variants."""
    large = speech.recogniser(speech.VOICES)
    with (
        oh.endpoint.serve({"whisper-1": speech.as_file(large)}) as endpoint,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.chdir(folder)  # the published program writes its models where it is
        Path("test16.wav").write_bytes(speech.say("open the garage door"))
        with open("test16.wav", "rb") as _f:  # read raw audio data from a local wav file
            audio_stream = np.asarray(list(_f.read()), dtype=np.uint8)
        published_program(f"{endpoint.url}/v1/audio/transcriptions", audio_stream)

        both = SideBySide(f"{endpoint.url}/v1")
        for voice, command in (("en-us", "play some music"), ("en-gb-scotland", "what is the weather")):
            audio_stream = np.frombuffer(speech.say(command, voice), np.uint8)
            print(f"\n{voice} says {command!r}")
            print("  a future:", both.with_a_future(audio_stream))
            print("  asyncio: ", asyncio.run(both.with_asyncio(audio_stream)))
        os.chdir(Path(folder).parent)


if __name__ == "__main__":
    main()
