"""Only speech leaves the device: a speech detector as the gate in front of a transcription service, in one file.

    python samples/speech_gate.py

The gate is silero-vad's detector, a real network of 1.2 MB; the speaker is espeak-ng. One .onnx file decodes the audio,
looks for speech, and sends the recording only if there is some: silence and noise get the empty text, and no request.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import speech

import onnxhybrid as oh

WHEEL = "silero-vad==6.2.3"
FRAME, CONTEXT = 512, 64
"""Samples that the detector judges at once, and those before them that it looks at, too."""

# Frames of the recording, each with the end of the one before: [n, 576].
_FRAMES = f"""
<ir_version: 8, opset_import: ["": 16, "ai.onnx.contrib": 1]>
frames (uint8[1, bytes] audio_stream) => (float[frames, {FRAME + CONTEXT}] windows)
<int64[1] whole = {{-1}}, int64[2] ends = {{0, {FRAME}}}, float nothing = {{0.0}}, int64[2] by_frame = {{-1, {FRAME}}},
 int64 frame = {{{FRAME}}}, int64[1] zero = {{0}}, int64[1] one = {{1}},
 int64[1] tail = {{{FRAME - CONTEXT}}}, int64[1] far = {{{FRAME}}}, int64[4] above = {{1, 0, 0, 0}},
 int64[1] last = {{-1}}>
{{
    pcm = ai.onnx.contrib.AudioDecoder <downsampling_rate = {speech.RATE}, stereo_to_mono = 1> (audio_stream)
    samples = Reshape (pcm, whole)
    count = Shape (samples)
    extra = Mod (count, frame)
    lacking = Sub (frame, extra)
    pads = Concat <axis = 0> (zero, lacking)
    padded = Pad (samples, pads, nothing)
    rows = Reshape (padded, by_frame)
    tails = Slice (rows, tail, far, one)
    shifted = Pad (tails, above, nothing)
    contexts = Slice (shifted, zero, last, zero)
    windows = Concat <axis = 1> (contexts, rows)
}}
"""

# The recording holds speech if the most suspicious of its frames does.
_VERDICT = """
<ir_version: 8, opset_import: ["": 16]>
verdict (float[frames] speech_probs) => (string[1] text, float[1, 1] silence)
<string[1] empty = {""}, int64[2] square = {1, 1}, float one = {1.0}>
{
    most = ReduceMax <keepdims = 0> (speech_probs)
    least = Sub (one, most)
    silence = Reshape (least, square)
    text = Identity (empty)
}
"""

_FILE = """
<ir_version: 8, opset_import: ["": 16]>
file (uint8[1, bytes] audio_stream) => (uint8[size] file) <int64[1] whole = {-1}>
{ file = Reshape (audio_stream, whole) }
"""


def detector() -> oh.Model:
    """silero-vad's network: windows float32[n, 576] -> speech_probs float32[n], with its state bound to the start."""
    folder = Path(os.environ.get("ONNXHYBRID_CORPUS") or ".corpus")
    path = folder / "silero_vad" / "data" / "silero_vad_16k_sequence.onnx"
    if not path.exists():
        print(f"installing {WHEEL} into {folder}, without what it depends on …", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), WHEEL]
        subprocess.run(command, check=True)
    start = np.zeros((1, 1, 128), np.float32)
    return oh.load(path).rename({"input": "windows"}).bind(h=start, c=start).select(["speech_probs"])


def gated(url: str) -> oh.Model:
    """audio_stream uint8[1, bytes] -> text str[1]: the service's where there is speech, and none where there is not."""
    gate = oh.chain(speech.graph(_FRAMES), detector(), speech.graph(_VERDICT))
    transcriber = oh.chain(speech.graph(_FILE), oh.remote.openai_audio("whisper-1", url=url, auth=None))
    sure = oh.judge.max_probability("silence") >= oh.Input("certainty", default=0.5)
    return oh.cascade(gate, transcriber, accept=sure, report=True)


def recordings() -> dict[str, bytes]:
    """A second of silence, one of noise, a tone, and two sentences, one of them in noise."""
    random, second = np.random.default_rng(0), np.arange(speech.RATE)
    noise = random.normal(0, 2000, speech.RATE)
    return {
        "silence": speech.wav(np.zeros(speech.RATE)),
        "noise": speech.wav(noise),
        "a tone": speech.wav(8000 * np.sin(second * 2 * np.pi * 440 / speech.RATE)),
        "speech": speech.say("turn the lights on"),
        "speech, a woman": speech.say("play some music", "en+f2"),
    }


def main() -> None:
    """Serve a recogniser, compose the gate, and play recordings to it."""
    large = speech.recogniser(["en-us", "en-us+f2", "en-us+m3", "en", "en+f4"])
    folder = Path("build")
    folder.mkdir(exist_ok=True)
    with oh.endpoint.serve({"whisper-1": speech.as_file(large)}) as endpoint:
        gated(f"{endpoint.url}/v1").save(folder / "speech_gate.onnx")
        session = oh.Session(folder / "speech_gate.onnx")
        print(f"{folder / 'speech_gate.onnx'}: {len(onnx.load(folder / 'speech_gate.onnx').graph.node)} nodes\n")
        print(f"{'recording':<18}{'bytes':>8}{'no speech':>11}{'requests':>10}{'bytes sent':>12}  text")
        for name, file in recordings().items():
            before = sum_of(session)
            text, _, score = session.run(["text", "accepted", "score"], {"audio_stream": speech.as_stream(file)})
            calls, sent = (after - then for after, then in zip(sum_of(session), before, strict=True))
            print(f"{name:<18}{len(file):>8}{score.item():>11.2f}{calls:>10}{sent:>12}  {text[0]!r}")


def sum_of(session: oh.Session) -> tuple[int, int]:
    """Requests, and bytes that they carried, since the session began."""
    nodes = session.stats().values()
    return sum(node.calls for node in nodes), sum(node.bytes_out for node in nodes)


if __name__ == "__main__":
    main()
