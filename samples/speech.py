"""What the samples about speech share: a speaker, and recognisers of a few spoken commands.

Weights of a large recogniser cannot be shipped with samples. So espeak-ng, a speech synthesizer, speaks the commands in
several voices, and small recognisers learn from what it said: real audio files go in, text comes out.
"""

from __future__ import annotations

import ctypes
import functools
import io
import itertools
import wave
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import espeakng_loader
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from written import graph

import onnxhybrid as oh

Array = npt.NDArray[Any]

COMMANDS = (
    "turn the lights on",
    "turn the lights off",
    "open the garage door",
    "play some music",
    "what is the weather",
    "set a timer",
)
VOICES = ("en-us", "en-us+f2", "en-us+m3", "en-us+m7", "en", "en+f4", "en+m1", "en-029")
"""Those that the large recognisers learn from; the small ones know the first."""

RATE = 16000
_FRAME, _HOP, _BANDS, _TIMES = 512, 160, 24, 16


# -- speaking ----------------------------------------------------------------------------------------------------------


def say(text: str, voice: str = "en-us") -> bytes:
    """A sentence as the bytes of a .wav file.

    Args:
        text: what to say.
        voice: an espeak-ng voice, as "en-us" or "en-gb-scotland"; "en-us+f2" is a variant of one.

    Raises:
        ValueError: there is no such voice.
    """
    library, rate, chunks = _espeak()
    chunks.clear()
    data = text.encode()
    if library.espeak_SetVoiceByName(voice.encode()) or library.espeak_Synth(
        data, len(data) + 1, 0, 0, 0, 1, None, None
    ):
        raise ValueError(f"espeak-ng cannot speak with the voice {voice!r}")
    return wav(np.concatenate(chunks), rate)


def wav(samples: Array, rate: int = RATE) -> bytes:
    """int16 samples as the bytes of a .wav file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, rate, 0, "NONE", ""))
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def as_stream(file: bytes) -> Array:
    """The bytes of a file as a tensor uint8[1, bytes]."""
    return np.frombuffer(file, np.uint8)[np.newaxis]


@functools.cache
def _espeak() -> tuple[Any, int, list[Array]]:
    """The library of espeak-ng, its sample rate, and the list that what it says is put into."""
    library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
    synchronous, no_buffer = 2, 0
    rate = library.espeak_Initialize(synchronous, no_buffer, espeakng_loader.get_data_path().encode(), 0)
    chunks: list[Array] = []

    @_CALLBACK
    def keep(samples: Any, count: int, _: int | None) -> int:
        if count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(keep)
    library.keep = keep  # the library calls it for as long as it lives
    return library, rate, chunks


_CALLBACK: Callable[..., Any] = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


# -- recognising -------------------------------------------------------------------------------------------------------

# The audio decoder is an operator of onnxruntime-extensions; the rest is standard. Times are resized to a fixed number,
# so that slow and fast speakers look alike.
_FEATURES = f"""
<ir_version: 8, opset_import: ["": 18, "ai.onnx.contrib": 1]>
features (uint8[1, bytes] audio_stream) => (float[1, {_TIMES * _BANDS}] features)
<int64 hop = {{{_HOP}}}, int64 frame = {{{_FRAME}}}, int64[1] last = {{-1}}, int64[4] as_image = {{1, 1, -1, {_BANDS}}},
 int64[4] size = {{1, 1, {_TIMES}, {_BANDS}}}, int64[2] flat = {{1, {_TIMES * _BANDS}}}, float small = {{0.000001}},
 int64[3] as_signal = {{1, -1, 1}}, int64[1] whole = {{1}}>
{{
    pcm = ai.onnx.contrib.AudioDecoder <downsampling_rate = {RATE}, stereo_to_mono = 1> (audio_stream)
    signal = Reshape (pcm, as_signal)
    window = HannWindow (frame)
    spectrum = STFT (signal, hop, window, frame)
    power = ReduceSumSquare <keepdims = 0> (spectrum, last)
    band = MatMul (power, bands)
    audible = Add (band, small)
    loudness = Log (audible)
    image = Reshape (loudness, as_image)
    resized = Resize <mode = "linear"> (image, , , size)
    row = Reshape (resized, flat)
    mean = ReduceMean (row, whole)
    features = Sub (row, mean)
}}
"""

_WORDS = f"""
<ir_version: 8, opset_import: ["": 18]>
words (float[n, {_TIMES * _BANDS}] features) => (string[n] text, float[n, {len(COMMANDS)}] probs)
{{
    product = MatMul (features, weight)
    logits = Add (product, bias)
    probs = Softmax (logits)
    index = ArgMax <axis = 1, keepdims = 0> (probs)
    text = Gather (commands, index)
}}
"""


def listener() -> oh.Model:
    """The ears of each recogniser: audio_stream uint8[1, bytes] -> features float32[1, 384]."""
    return graph(_FEATURES, bands=_bands())


def recogniser(voices: Sequence[str]) -> oh.Model:
    """A recogniser that learned from these voices: audio_stream uint8[1, bytes] -> text str[1], probs float32[1, 6]."""
    ears = listener()
    session = oh.Session(ears)
    spoken = list(itertools.product(range(len(COMMANDS)), voices))
    rows = [session.run(None, {"audio_stream": as_stream(say(COMMANDS[n], voice))})[0][0] for n, voice in spoken]
    learned = LogisticRegression(C=0.01, max_iter=1000).fit(np.stack(rows), [n for n, _ in spoken])
    words = graph(
        _WORDS,
        weight=learned.coef_.T.astype(np.float32),
        bias=learned.intercept_.astype(np.float32),
        commands=np.array(COMMANDS, object),
    )
    return oh.chain(ears, words)


def as_file(model: oh.Model) -> oh.Model:
    """The model as a speech service takes its input: file uint8[bytes] in place of audio_stream uint8[1, bytes]."""
    return oh.chain(
        graph(
            """
            <ir_version: 8, opset_import: ["": 18]>
            streamed (uint8[bytes] file) => (uint8[1, bytes] audio_stream) <int64[1] first = {0}>
            { audio_stream = Unsqueeze (file, first) }
            """
        ),
        model,
    )


def _bands() -> Array:
    """Triangles that gather the bins of a spectrum into bands, narrow where the ear is fine: float32[257, 24]."""
    edges = 700 * np.expm1(np.linspace(np.log1p(60 / 700), np.log1p(7600 / 700), _BANDS + 2))
    bins = np.linspace(0, RATE / 2, _FRAME // 2 + 1)
    return np.stack(list(_triangles(bins, edges)), axis=1).astype(np.float32)


def _triangles(bins: Array, edges: Array) -> Iterator[Array]:
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        yield np.clip(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0, None)
