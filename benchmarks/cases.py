"""What is measured: each case pits one way of calling the real Triton server against the official client's.

A case gives its two calls for a running server, how to measure them and the ratio that is aimed at. Everything that a
caller does anew for each call, in our way and in theirs, belongs to the call; what is done once does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from tritonclient import grpc, http

import onnxhybrid as oh
from benchmarks.measure import Call, Measure, cpu, p50, throughput
from tests.servers.triton import TritonServer


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    work: str
    peer: str
    unit: str
    goal: float  # ours / the peer's, at most; where more is better, at least
    contestants: Callable[[TritonServer], tuple[Call, Call]]
    measure: Measure
    more_is_better: bool = False

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio reaches the goal."""
        return ratio >= self.goal if self.more_is_better else ratio <= self.goal


def sums(client: ModuleType, scheme: str, size: int) -> Callable[[TritonServer], tuple[Call, Call]]:
    """The sum of two float32 vectors: our operator in one session for all threads, and an official client a thread.

    Args:
        client: tritonclient.http or tritonclient.grpc.
        scheme: of the URL that our operator is given, `http` or `grpc`.
        size: the vectors' number of elements.
    """
    x, y = np.random.default_rng(0).random((2, size), np.float32)

    def contestants(server: TritonServer) -> tuple[Call, Call]:
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


_SMALL, _LARGE = 256, 1_000_000
_OVER_HTTP, _OVER_GRPC = sums(http, "http", _SMALL), sums(grpc, "grpc", _SMALL)

CASES = (
    Case("small", "256 floats, p50", "tritonclient.http", "ms", 0.85, _OVER_HTTP, p50(500)),
    Case("small-grpc", "256 floats, p50", "tritonclient.grpc", "ms", 0.85, _OVER_GRPC, p50(500)),
    Case("cpu", "256 floats, client CPU", "tritonclient.http", "ms", 0.3, _OVER_HTTP, cpu(500)),
    Case("threads", "32 threads, calls", "tritonclient.http", "/s", 1.8, _OVER_HTTP, throughput(32, 1.0), True),
    Case("large", "4 MB ×2 in, 4 MB out, p50", "tritonclient.http", "ms", 0.6, sums(http, "http", _LARGE), p50(30)),
    Case(
        "large-grpc", "4 MB ×2 in, 4 MB out, p50", "tritonclient.grpc", "ms", 0.6, sums(grpc, "grpc", _LARGE), p50(30)
    ),
)
