"""What is measured: each case pits one way of calling the real Triton server against the official client's.

A case gives its two calls for a running server, how to measure them and the ratio that is aimed at. Everything that a
caller does anew for each call, in our way and in theirs, belongs to the call; what is done once does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tritonclient.http as official

import onnxhybrid as oh
from benchmarks.measure import Call, Measure, p50
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


def sum_over_http(size: int) -> Callable[[TritonServer], tuple[Call, Call]]:
    """The sum of two float32 vectors: our operator in one session, and tritonclient.http with one client."""
    x, y = np.random.default_rng(0).random((2, size), np.float32)

    def contestants(server: TritonServer) -> tuple[Call, Call]:
        session = oh.Session(oh.remote.triton(server.http_url, "addf"))
        client = official.InferenceServerClient(server.http_url.removeprefix("http://"))

        def ours() -> object:
            return session.run(None, {"X": x, "Y": y})[0]

        def peer() -> object:
            inputs = [official.InferInput(name, [size], "FP32") for name in ("X", "Y")]
            for tensor, values in zip(inputs, (x, y), strict=True):
                tensor.set_data_from_numpy(values)
            return client.infer("addf", inputs).as_numpy("Z")

        np.testing.assert_array_equal(ours(), peer())
        return ours, peer

    return contestants


CASES = (
    Case("small", "256 floats, p50", "tritonclient.http", "ms", 0.95, sum_over_http(256), p50(500)),
    Case("large", "4 MB ×2 in, 4 MB out, p50", "tritonclient.http", "ms", 0.95, sum_over_http(1_000_000), p50(30)),
)
