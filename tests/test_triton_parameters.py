"""Parameters and headers of requests at the real Triton server, with the official clients as the oracle beside it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

import onnxhybrid as oh
from tests.servers.triton import TritonServer

SPECS: dict[str, Any] = {
    "inputs": [oh.TensorSpec("X", "float32", (1,))],
    "outputs": [oh.TensorSpec("SUM", "float32", (1,)), oh.TensorSpec("TOLD", "str", (1,))],
}
CUSTOM = {"lora": 'a "é"', "share": 0.1, "top_k": 7, "greedy": True, "negative": -1}


@pytest.fixture(scope="session", params=["http", "grpc"])
def url(triton: TritonServer, request: pytest.FixtureRequest) -> str:
    """The server's address for each protocol in turn."""
    return triton.http_url if request.param == "http" else triton.grpc_url


def official(url: str, value: float, **arguments: Any) -> tuple[float, dict[str, Any]]:
    """The sum and the parameters that the server tells the official client of the URL's protocol."""
    scheme, _, address = url.partition("://")
    module: Any = {"http": tritonclient.http, "grpc": tritonclient.grpc}[scheme]
    tensor = module.InferInput("X", [1], "FP32")
    tensor.set_data_from_numpy(np.array([value], np.float32))
    outputs = [module.InferRequestedOutput(name) for name in ("SUM", "TOLD")]
    with module.InferenceServerClient(address) as client:
        answer = client.infer("sequence", [tensor], outputs=outputs, **arguments)
        return float(answer.as_numpy("SUM")[0]), json.loads(answer.as_numpy("TOLD")[0])


def ours(model: oh.Model, value: float, **feeds: Any) -> tuple[float, dict[str, Any]]:
    given = {name: np.array([one]) for name, one in feeds.items()}
    total, told = oh.Session(model).run(None, {"X": np.array([value], np.float32), **given})
    return float(total[0]), json.loads(str(told[0]))


def test_a_sequence_is_counted_by_its_id_from_its_start(url: str) -> None:
    kinds = {"sequence_id": 0, "sequence_start": False, "sequence_end": False}
    model = oh.remote.triton(
        url, "sequence", parameters={name: oh.Input(default=value) for name, value in kinds.items()}, **SPECS
    )
    first, second = (2**40 + ord(url[0]), 2**41 + ord(url[0]))
    sums = [
        ours(model, value, sequence_id=key, sequence_start=start, sequence_end=end)[0]
        for key, value, start, end in (
            (first, 1, True, False),
            (second, 10, True, False),
            (first, 2, False, False),
            (second, 20, False, True),
            (first, 3, False, True),
        )
    ]
    assert sums == [1, 10, 3, 30, 6]
    with pytest.raises(oh.RemoteStatusError, match=r"(?i)correlation"):
        ours(oh.remote.triton(url, "sequence", **SPECS), 1)


def test_a_model_is_told_the_parameters_that_the_official_client_tells_it(url: str) -> None:
    sequence = {"sequence_id": 77, "sequence_start": True, "sequence_end": True}
    expected = official(url, 1.0, **sequence, priority=1, parameters=CUSTOM)
    model = oh.remote.triton(url, "sequence", parameters={**sequence, "priority": 1, **CUSTOM}, **SPECS)
    assert ours(model, 1.0) == expected
    assert expected[1].items() >= {"lora": CUSTOM["lora"], "top_k": 7, "greedy": True}.items()


def test_parameters_that_are_inputs_arrive_as_constants_do(url: str) -> None:
    sequence = {"sequence_id": 78, "sequence_start": True, "sequence_end": True}
    given = {name: oh.Input(default=type(value)()) for name, value in CUSTOM.items()}
    model = oh.remote.triton(url, "sequence", parameters={**sequence, **given}, **SPECS)
    feeds = {**CUSTOM, "share": np.float32(0.1)}
    assert ours(model, 1.0, **feeds) == official(url, 1.0, **sequence, parameters=CUSTOM)


def test_headers_do_not_disturb_the_server_nor_its_metadata(url: str) -> None:
    headers = {"Host": "digits.example.com", "X-Tenant": oh.Input("tenant"), "x-trace-bin": "plain"}
    model = oh.remote.triton(url, "addf", headers=headers)
    one = np.ones(2, np.float32)
    assert oh.Session(model).run(None, {"tenant": np.array(["t"]), "X": one, "Y": one})[0].tolist() == [2, 2]
