"""A server on gRPC's C core takes so many requests at once on a connection: a burst of more loses none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

import onnxhybrid as oh
from tests.servers.kserve_grpc import serving

BURST = 24
VALUES = np.arange(1000, dtype=np.float32)


class Echo(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Answers with what it got."""

    def ModelInfer(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
        """The input `x` as the output `y`."""
        answer = service_pb2.ModelInferResponse(raw_output_contents=request.raw_input_contents)
        answer.outputs.add(name="y", datatype="FP32", shape=request.inputs[0].shape)
        return answer


@pytest.mark.parametrize("streams", [1, 2, 16])
def test_a_burst_above_the_limit_of_streams_on_a_new_connection_loses_no_call(streams: int) -> None:
    """Calls wait for their turn on the one connection, as the official client's do."""
    specs = [[oh.TensorSpec(name, "float32", ("n",))] for name in ("x", "y")]
    for _ in range(4):
        with serving(Echo(), 4, [("grpc.max_concurrent_streams", streams)]) as url, ThreadPoolExecutor(BURST) as pool:
            model = oh.remote.triton(url, "m", inputs=specs[0], outputs=specs[1], retries=0, name="echo")
            session, start = oh.Session(model), Barrier(BURST)

            def call(number: int, session: oh.Session = session, start: Barrier = start) -> bool:
                start.wait()
                return bool(np.array_equal(session.run(None, {"x": VALUES + number})[0], VALUES + number))

            assert all(pool.map(call, range(BURST)))
        assert session.stats()["echo"].connections == 1
