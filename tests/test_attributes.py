"""What holds where a remote node lacks an attribute: declared once, in the library, and read alike on both sides."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
from onnx import ModelProto, helper

import onnxhybrid as oh
from onnxhybrid import library
from onnxhybrid.model.remote_spec import attributes_of
from tests.old_models import AUTH, STRING, old_model
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, raw_server
from tests.strategies import dense

ROOT = Path(__file__).parent.parent
OPTIONAL = {name: row["default"] for name, row in library.attributes().items() if "default" in row}
REQUIRED = sorted(set(library.attributes()) - set(OPTIONAL))


def without(model: oh.Model, /, *names: str, **others: object) -> oh.Model:
    """The model whose remote node lacks these attributes, and has others."""
    proto = ModelProto()
    proto.CopyFrom(model.to_proto())
    [node] = proto.graph.node
    kept = {name: value for name, value in attributes_of(node).items() if name not in names and name not in others}
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in {**kept, **others}.items())
    return oh.Model.from_proto(proto)


def told(model: oh.Model) -> Any:
    """What the metadata say of the remote node once the model was composed."""
    both = oh.parallel(remote=model, local=dense("a", "x", "y", (3, 3)))
    [call] = json.loads(both.metadata["onnxhybrid.remotes"])
    return call


def explicit(url: str) -> oh.Model:
    """The adder with every attribute as it is where a node lacks it."""
    return without(adder(url), **OPTIONAL)


def refused(model: oh.Model) -> str:
    """The refusal of a session; the validation refuses the model as well, and with the same code."""
    report = oh.validate(model)
    assert [finding.code for finding in report.errors] == ["OH301"], report
    with pytest.raises(oh.ModelError, match="OH301") as caught:
        oh.Session(model)
    return str(caught.value)


def test_a_default_is_there_for_everything_that_a_call_can_do_without() -> None:
    assert set(OPTIONAL) == {"attempt_timeout_ms", "auth", "auth_scheme", "batch", "batch_bytes", "cache",
                             "connect_timeout_ms",
                             "endpoint_name", "endpoint_order", "headers", "hedge",
                             "input_shapes", "on_error", "option_names", "output_shapes", "retries",
                             "timeout_ms"}  # fmt: skip
    assert REQUIRED == ["endpoint", "input_names", "output_names", "protocol"]


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_node_without_an_attribute_is_described_as_the_node_with_its_default(name: str) -> None:
    full = explicit("http://127.0.0.1:9")
    lacking = without(full, name)
    assert name not in attributes_of(lacking.to_proto().graph.node[0])
    assert lacking.remotes == full.remotes
    assert told(lacking) == told(full)
    assert oh.validate(lacking)


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_node_without_an_attribute_sends_what_the_node_with_its_default_sends(name: str) -> None:
    with raw_server(answer(reply())) as server:
        full = explicit(server.url)
        results = [oh.Session(model).run(None, {"x": X}) for model in (full, without(full, name))]
        assert server.requests[0] == server.requests[1]
    np.testing.assert_array_equal(results[0][0], results[1][0])


@pytest.mark.parametrize("name", REQUIRED)
def test_a_node_without_an_attribute_that_has_no_default_is_refused_on_both_sides(name: str) -> None:
    lacking = without(explicit("http://127.0.0.1:9"), name)
    assert f"the attribute {name} is missing" in refused(lacking)
    with pytest.raises(oh.ModelError, match="OH301.*" + name):
        _ = lacking.remotes


def test_what_a_protocol_needs_is_refused_on_both_sides_where_it_is_missing() -> None:
    x, y = [oh.TensorSpec("x", "float32", (1,))], [oh.TensorSpec("y", "float32", (1,))]
    triton = oh.remote.triton("http://127.0.0.1:9", "m", inputs=x, outputs=y)
    chat = oh.remote.azure_openai_chat("http://127.0.0.1:9", "m", api_version="1")
    given = oh.remote.azure_openai_chat("http://127.0.0.1:9", oh.Input("model"), api_version="1")
    for model, name in ((triton, "model"), (chat, "model"), (chat, "api_version"), (given, "api_version")):
        missing = f"the attribute {name} is missing"
        assert missing in refused(without(model, name))
        assert missing in refused(without(model, **{name: ""}))
    assert oh.validate(without(given, "model"))
    oh.Session(without(given, "model"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retries", -1),
        ("retries", "2"),
        ("retries", 2.0),
        ("timeout_ms", 0),
        ("timeout_ms", 1 << 40),
        ("connect_timeout_ms", 0),
        ("attempt_timeout_ms", -1),
        ("attempt_timeout_ms", 1 << 40),
        ("attempt_timeout_ms", "500"),
        ("connect_timeout_ms", "5000"),
        ("on_error", ""),
        ("on_error", 1),
        ("auth", ""),
        ("auth", "credential:"),
        ("auth", 1.0),
        ("endpoint", ""),
        ("input_names", ""),
        ("output_names", 1),
    ],
)
def test_a_value_that_an_attribute_cannot_have_is_refused_on_both_sides(name: str, value: object) -> None:
    refused(without(explicit("http://127.0.0.1:9"), **{name: value}))


def test_a_node_that_says_nothing_of_repeats_is_repeated_as_often_as_its_description_says() -> None:
    with raw_server(answer(b"", status="503 Busy")) as server:
        model = without(adder(server.url, timeout=30.0), "retries")
        with pytest.raises(oh.RemoteStatusError):
            oh.Session(model).run(None, {"x": X})
        [remote] = model.remotes
    assert len(server.requests) == 1 + remote.retries == 1 + told(model)["retries"]


def test_a_node_that_says_no_deadline_has_the_one_of_its_description() -> None:
    left: list[float] = []

    class Model(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: object) -> Any:
            def infer(_: bytes, context: Any) -> bytes:
                left.append(context.time_remaining())
                context.abort(grpc.StatusCode.INTERNAL, "seen")
                return b""

            return grpc.unary_unary_rpc_method_handler(infer)

    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=(Model(),))
    url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        model = without(adder(url, timeout=3.0), "timeout_ms")
        with pytest.raises(oh.RemoteStatusError, match="seen"):
            oh.Session(model).run(None, {"x": X})
    finally:
        server.stop(None)
    [remote] = model.remotes
    assert remote.timeout == told(model)["timeout"]
    assert remote.timeout - 5 < left[0] <= remote.timeout


def test_a_connection_of_a_node_that_says_no_limit_may_take_as_long_as_its_description_says() -> None:
    # Nobody accepts, and the one place of the queue is taken: what more comes is left without an answer.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        model = without(adder(f"http://127.0.0.1:{full.getsockname()[1]}", timeout=60.0), "connect_timeout_ms")
        session = oh.Session(model)
        began = time.monotonic()
        with pytest.raises(oh.RemoteError) as caught:
            session.run(None, {"x": X})
        took = time.monotonic() - began
    [remote] = model.remotes
    assert remote.connect_timeout == told(model)["connect_timeout"]
    assert remote.connect_timeout <= took < 30
    assert caught.value.code == "OH501"


def test_what_builders_and_the_upgrade_write_are_the_same_defaults() -> None:
    url, spec = "http://127.0.0.1:9", oh.TensorSpec("x", "float32", (1,))
    built = oh.remote.triton(url, "m", inputs=[spec], outputs=[oh.TensorSpec("y", "float32", (1,))])
    old = old_model("AzureTextToText", [AUTH, ("x", STRING, [1])], [("t", STRING, [1])], model_uri=url)
    for model in (built, oh.legacy.upgrade(oh.Model.from_proto(old))):
        attributes = attributes_of(model.to_proto().graph.node[0])
        for name in ("timeout_ms", "connect_timeout_ms", "attempt_timeout_ms", "retries"):
            assert attributes[name] == OPTIONAL[name]
        assert attributes["on_error"].decode() == OPTIONAL["on_error"]


def test_what_a_server_is_asked_about_its_model_is_asked_with_the_same_defaults() -> None:
    with raw_server(answer(b"", status="503 Busy")) as server, pytest.raises(oh.RemoteError):
        library.Scope({}).describe({"protocol": "triton.http", "endpoint": server.url, "model": "m"})
    assert len(server.requests) == 1 + OPTIONAL["retries"]


def test_the_pages_say_the_defaults_that_hold() -> None:
    page = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \| (\w+) \| (.*?) \|", page, re.MULTILINE)
    written = {name: (kind, default) for names, kind, default in rows for name in re.findall(r"`(\w+)`", names)}
    for name, row in library.attributes().items():
        default = (
            f"`{row['default']}`"
            if row.get("default") not in (None, "")
            else "empty"
            if "default" in row
            else "required"
        )
        assert written[name] == (row["type"], default), name
    seconds, connecting = (OPTIONAL[name] // 1000 for name in ("timeout_ms", "connect_timeout_ms"))
    said = " ".join((oh.remote.triton.__doc__ or "").split())
    assert f"seconds ({seconds} and {connecting};" in said
    assert f"retries ({OPTIONAL['retries']})" in said


def test_a_file_whose_nodes_say_everything_is_read_without_the_library(tmp_path: Path) -> None:
    adder("http://127.0.0.1:9").save(tmp_path / "m.onnx")
    code = (
        "import sys, onnxhybrid as oh; print(oh.load(sys.argv[1]).remotes[0].retries);"
        "from onnxhybrid import library; print(library._library.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "m.onnx")], capture_output=True, check=True)
    assert done.stdout.split() == [b"0", b"0"]
