"""`attempt_timeout=`: what a file, its description and a call make of it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import pytest

import onnxhybrid as oh
from onnxhybrid.model.remote_spec import attributes_of
from tests.remotes import X, adder, reply
from tests.servers.raw import RawServer, answer, raw_server
from tests.strategies import dense


@contextmanager
def swallowing(first: int, body: bytes) -> Iterator[RawServer]:
    """A server to whose first requests nothing ever comes back."""
    over = threading.Event()

    def behave(connection: socket.socket, request: bytes) -> None:
        if len(server.requests) <= first:
            over.wait(30)
            raise OSError
        answer(body)(connection, request)

    with raw_server(behave) as server:
        try:
            yield server
        finally:
            over.set()


def test_a_request_that_was_swallowed_is_sent_again_and_counted() -> None:
    with swallowing(1, reply()) as server:
        session = oh.Session(adder(server.url, attempt_timeout=0.2, retries=1, timeout=30.0))
        assert session.run(None, {"x": X})[0].shape == (2, 2)
        [stats] = session.stats().values()
    assert (len(server.requests), stats.retries) == (2, 1)


def test_a_request_that_was_swallowed_each_time_is_a_timeout_that_names_the_setting() -> None:
    with (
        swallowing(9, b"") as server,
        pytest.raises(oh.RemoteTimeout, match=r"OH502.*within 200 ms \(attempt_timeout\)"),
    ):
        oh.Session(adder(server.url, attempt_timeout=0.2, retries=1, timeout=30.0)).run(None, {"x": X})
    assert len(server.requests) == 2


def test_a_server_is_asked_about_its_model_by_the_same_rules() -> None:
    tensors = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2]}],
    }
    with swallowing(1, json.dumps({"name": "m", **tensors}).encode()) as server:
        model = oh.remote.triton(server.url, "m", attempt_timeout=0.2, retries=1)
    # The last one asks for the model's configuration.
    assert (model.inputs[0].name, len(server.requests)) == ("x", 3)


def test_a_file_says_the_time_of_an_attempt_where_there_is_one() -> None:
    for given, milliseconds in ((None, 0), (0.25, 250), (2, 2000)):
        model = adder("http://127.0.0.1:9", attempt_timeout=given)
        assert attributes_of(model.to_proto().graph.node[0])["attempt_timeout_ms"] == milliseconds
        assert model.remotes[0].attempt_timeout == given
        both = oh.parallel(remote=model, local=dense("a", "x", "y", (3, 3)))
        [told] = json.loads(both.metadata["onnxhybrid.remotes"])
        assert told.get("attempt_timeout") == given
        assert ("attempt_timeout" in told) == (given is not None)


def test_a_file_from_before_there_was_such_a_time_is_as_it_was() -> None:
    proto = onnx.ModelProto()
    proto.CopyFrom(adder("http://127.0.0.1:9").to_proto())
    [node] = proto.graph.node
    kept = [attribute for attribute in node.attribute if attribute.name != "attempt_timeout_ms"]
    del node.attribute[:]
    node.attribute.extend(kept)
    model = oh.Model.from_proto(proto)
    assert model.remotes[0].attempt_timeout is None
    assert oh.validate(model)


@pytest.mark.parametrize("compressed", [gzip.compress(reply()), gzip.compress(b"") + gzip.compress(reply())])
def test_an_answer_that_a_gateway_compressed_gives_the_same_tensors(compressed: bytes) -> None:
    with raw_server(answer(compressed, more="content-encoding: gzip\r\n")) as server:
        packed = oh.Session(adder(server.url)).run(None, {"x": X})[0]
    with raw_server(answer(reply())) as plain:
        assert (oh.Session(adder(plain.url)).run(None, {"x": X})[0] == packed).all()
    assert b"\r\naccept-encoding: identity\r\n" in server.requests[0].lower()
