"""What is measured: each case pits one way of calling a server against the official client's.

A case gives its two calls for running servers, how to measure them and the ratio that is aimed at. Everything that a
caller does anew for each call, in our way and in theirs, belongs to the call; what is done once does not.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import openai
from tritonclient import grpc, http

import onnxhybrid as oh
from benchmarks import loopback
from benchmarks.measure import Call, Measure, cpu, p50, throughput
from tests.servers import triton
from tests.servers.triton import TritonServer


class Servers(ExitStack):
    """The servers of the cases, each of which starts when it is first asked for."""

    @cached_property
    def triton(self) -> TritonServer:
        """The real Triton server."""
        return self.enter_context(triton.serve())

    @cached_property
    def loopback(self) -> str:
        """The address of the server of `benchmarks.loopback`."""
        return self.enter_context(loopback.serve())


Contestants = Callable[[Servers], tuple[Call, Call]]


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    work: str
    peer: str
    unit: str
    goal: float  # ours / the peer's, at most; where more is better, at least
    contestants: Contestants
    measure: Measure
    more_is_better: bool = False
    on_triton: bool = True

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio reaches the goal."""
        return ratio >= self.goal if self.more_is_better else ratio <= self.goal


def sums(client: ModuleType, scheme: str, size: int) -> Contestants:
    """The sum of two float32 vectors: our operator in one session for all threads, and an official client a thread.

    Args:
        client: tritonclient.http or tritonclient.grpc.
        scheme: of the URL that our operator is given, `http` or `grpc`.
        size: the vectors' number of elements.
    """
    x, y = np.random.default_rng(0).random((2, size), np.float32)

    def contestants(servers: Servers) -> tuple[Call, Call]:
        server = servers.triton
        address = (server.http_url if scheme == "http" else server.grpc_url).partition("://")[2]
        session = oh.Session(oh.remote.triton(f"{scheme}://{address}", "addf"))
        own = threading.local()

        def ours() -> object:
            return session.run(None, {"X": x, "Y": y})[0]

        def peer() -> object:
            if not hasattr(own, "client"):
                own.client = client.InferenceServerClient(address)
            inputs = [client.InferInput(name, [size], "FP32") for name in ("X", "Y")]
            for tensor, values in zip(inputs, (x, y), strict=True):
                tensor.set_data_from_numpy(values)
            return own.client.infer("addf", inputs).as_numpy("Z")

        np.testing.assert_array_equal(ours(), peer())
        return ours, peer

    return contestants


def uploads(size: int) -> Contestants:
    """The transcription of a file of so many bytes."""
    sound = np.random.default_rng(0).integers(0, 256, size, np.uint8)

    def contestants(servers: Servers) -> tuple[Call, Call]:
        url = f"http://{servers.loopback}/v1"
        model = oh.remote.openai_audio(url=url, response_format="json", auth=oh.Credential("key"))
        session = oh.Session(model, credentials={"key": "none"})
        client, file = openai.OpenAI(api_key="none", base_url=url), sound.tobytes()

        def ours() -> object:
            return session.run(None, {"file": sound})[0][0]

        def peer() -> object:
            named = ("audio.wav", file, "audio/wav")
            return client.audio.transcriptions.create(model="whisper-1", file=named, response_format="json").text

        assert ours() == peer()
        return ours, peer

    return contestants


def together(count: int) -> Contestants:
    """So many calls at once from coroutines, beside one by itself, of a model that takes its time."""
    feeds = {"x": np.ones(1, np.float32)}

    def contestants(servers: Servers) -> tuple[Call, Call]:
        specs = [[oh.TensorSpec(name, "float32", (1,))] for name in ("x", "y")]
        url = f"http://{servers.loopback}"
        session = oh.Session(oh.remote.triton(url, "late", inputs=specs[0], outputs=specs[1]))
        loop = asyncio.new_event_loop()
        servers.callback(loop.close)

        async def all_of_them() -> object:
            return await asyncio.gather(*(session.arun(None, feeds) for _ in range(count)))

        return lambda: loop.run_until_complete(all_of_them()), lambda: session.run(None, feeds)

    return contestants


_SMALL, _LARGE = 256, 1_000_000
_OVER_HTTP, _OVER_GRPC = sums(http, "http", _SMALL), sums(grpc, "grpc", _SMALL)

CASES = (
    Case("small", "256 floats, p50", "tritonclient.http", "ms", 0.65, _OVER_HTTP, p50(500)),
    Case("small-grpc", "256 floats, p50", "tritonclient.grpc", "ms", 0.65, _OVER_GRPC, p50(500)),
    Case("cpu", "256 floats, client CPU", "tritonclient.http", "ms", 0.27, _OVER_HTTP, cpu(500)),
    Case("cpu-grpc", "256 floats, client CPU", "tritonclient.grpc", "ms", 0.33, _OVER_GRPC, cpu(500)),
    Case("threads", "32 threads, calls", "tritonclient.http", "/s", 2.0, _OVER_HTTP, throughput(32, 1.0), True),
    Case("threads-grpc", "32 threads, calls", "tritonclient.grpc", "/s", 2.0, _OVER_GRPC, throughput(32, 1.0), True),
    Case("large", "4 MB ×2 in, 4 MB out, p50", "tritonclient.http", "ms", 0.6, sums(http, "http", _LARGE), p50(30)),
    Case(
        "large-grpc", "4 MB ×2 in, 4 MB out, p50", "tritonclient.grpc", "ms", 0.6, sums(grpc, "grpc", _LARGE), p50(30)
    ),
    Case("audio", "25 MB audio upload, p50", "openai", "ms", 0.8, uploads(25_000_000), p50(10), on_triton=False),
    Case("together", "64 calls of 100 ms, arun", "one call", "ms", 1.6, together(64), p50(5), on_triton=False),
)
