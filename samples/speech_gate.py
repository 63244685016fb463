"""Only speech leaves the device: a speech detector as the gate in front of a transcription service, in one file.

    python samples/speech_gate.py

The gate is silero-vad's detector, a real network of 1.2 MB; the speaker is espeak-ng. One .onnx file decodes the audio,
finds the speech in it, and sends a .wav file of that and of nothing else. Silence and noise get the empty text, and no
request.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import speech
from written import graph

import onnxhybrid as oh

LOCK = Path(__file__).parents[1] / "requirements" / "speech.txt"  # silero-vad, by version and hash
FRAME, CONTEXT = 512, 64
"""Samples that the detector judges at once, and those before them that it looks at, too."""

# Frames of the recording, and each with the end of the one before.
FRAMES = f"""
<ir_version: 8, opset_import: ["": 16, "ai.onnx.contrib": 1]>
frames (uint8[1, bytes] audio_stream) => (float[frames, {FRAME}] rows, float[frames, {FRAME + CONTEXT}] windows)
<int64[1] whole = {{-1}}, float nothing = {{0.0}}, int64[2] by_frame = {{-1, {FRAME}}}, int64 frame = {{{FRAME}}},
 int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] last = {{-1}}, int64[4] above = {{1, 0, 0, 0}},
 int64[1] tail = {{{FRAME - CONTEXT}}}, int64[1] end = {{{FRAME}}}>
{{
    pcm = ai.onnx.contrib.AudioDecoder <downsampling_rate = {speech.RATE}, stereo_to_mono = 1> (audio_stream)
    samples = Reshape (pcm, whole)
    count = Shape (samples)
    extra = Mod (count, frame)
    lacking = Sub (frame, extra)
    pads = Concat <axis = 0> (zero, lacking)
    padded = Pad (samples, pads, nothing)
    rows = Reshape (padded, by_frame)
    tails = Slice (rows, tail, end, one)
    shifted = Pad (tails, above, nothing)
    contexts = Slice (shifted, zero, last, zero)
    windows = Concat <axis = 1> (contexts, rows)
}}
"""

# The frames of speech, with a tenth of a second around them, as the bytes of a .wav file.
SPOKEN = """
<ir_version: 8, opset_import: ["": 16]>
spoken (float[frames, frame] rows, float[frames] speech_probs) => (uint8[size] file, float[1, 1] speech)
<float half = {0.5}, int64[3] as_signal = {1, 1, -1}, int64[2] square = {1, 1}, int64[1] flat = {-1},
 int64[2] as_column = {-1, 1}, float full = {32768.0}, float least = {-32768.0}, float largest = {32767.0},
 int64 range = {65536}, int64 byte = {256}, int64[2] two = {1, 256}, int64[4] four = {1, 256, 65536, 16777216},
 int64 header = {36}>
{
    signal = Reshape (speech_probs, as_signal)
    near = MaxPool <kernel_shape = [7], pads = [3, 3]> (signal)
    probable = Reshape (near, flat)
    kept = GreaterOrEqual (probable, half)
    voiced = Compress <axis = 0> (rows, kept)
    scaled = Mul (voiced, full)
    rounded = Round (scaled)
    clipped = Clip (rounded, least, largest)
    numbers = Cast <to = 7> (clipped)
    column = Reshape (numbers, as_column)
    unsigned = Mod (column, range)
    shifted = Div (unsigned, two)
    pairs = Mod (shifted, byte)
    data = Reshape (pairs, flat)
    size = Size (data)
    total = Add (size, header)
    total_shifted = Div (total, four)
    total_bytes = Mod (total_shifted, byte)
    size_shifted = Div (size, four)
    size_bytes = Mod (size_shifted, byte)
    all = Concat <axis = 0> (riff, total_bytes, format, size_bytes, data)
    file = Cast <to = 2> (all)
    most = ReduceMax <keepdims = 0> (speech_probs)
    speech = Reshape (most, square)
}
"""

# What the device answers by itself.
QUIET = """
<ir_version: 8, opset_import: ["": 16]>
quiet (float[1, 1] speech) => (string[1] text, float[1, 1] silence) <string[1] empty = {""}, float one = {1.0}>
{
    text = Identity (empty)
    silence = Sub (one, speech)
}
"""


def weights() -> Path:
    """The file of silero-vad's network; its wheel is installed if it is not there yet."""
    folder = Path(os.environ.get("ONNXHYBRID_CORPUS") or ".corpus")
    path = folder / "silero_vad" / "data" / "silero_vad_16k_sequence.onnx"
    if not path.exists():
        print(f"installing silero-vad into {folder}, without what it depends on …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--target", str(folder), "--requirement", str(LOCK)]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"this sample needs silero-vad's detector; by hand: {' '.join(command)}")
    return path


def detector() -> oh.Model:
    """silero-vad's network: windows float32[n, 576] -> speech_probs float32[n], its state set to the beginning."""
    start = np.zeros((1, 1, 128), np.float32)
    return oh.load(weights()).rename({"input": "windows"}).bind(h=start, c=start).select(["speech_probs"])


def gated(url: str) -> oh.Model:
    """audio_stream uint8[1, bytes] -> text str[1]: the service's where there is speech, and none where there is not."""
    header = wave_header()
    spoken = graph(SPOKEN, riff=header[:4].astype(np.int64), format=header[8:40].astype(np.int64))
    sure = oh.judge.max_probability("silence") >= oh.Input("certainty", default=0.5)
    transcriber = oh.remote.openai_audio("whisper-1", url=url, auth=None)
    return oh.chain(graph(FRAMES), detector(), spoken, oh.cascade(graph(QUIET), transcriber, accept=sure, report=True))


def wave_header() -> Any:
    """The first bytes of a .wav file of 16-bit samples; two sizes in it, at 4 and at 40, are the file's own."""
    return np.frombuffer(speech.wav(np.zeros(0)), np.uint8)


def recordings() -> dict[str, bytes]:
    """Silence, noise, a tone, a sentence, and one that is preceded by two seconds of silence."""
    random, second = np.random.default_rng(0), np.arange(speech.RATE)
    sentence = speech.say("play some music", "en+f2")
    return {
        "silence": speech.wav(np.zeros(speech.RATE)),
        "noise": speech.wav(random.normal(0, 2000, speech.RATE)),
        "a tone": speech.wav(8000 * np.sin(second * 2 * np.pi * 440 / speech.RATE)),
        "speech": speech.say("turn the lights on"),
        "a pause, speech": late(sentence, seconds=2),
    }


def late(file: bytes, seconds: int) -> bytes:
    """A recording that begins with silence."""
    with wave.open(io.BytesIO(file)) as reader:
        rate = reader.getframerate()
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    return speech.wav(np.concatenate([np.zeros(rate * seconds, np.int16), samples]), rate)


def main() -> None:
    """Serve a recogniser, compose the gate, and play recordings to it."""
    large = speech.recogniser(speech.VOICES)
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
