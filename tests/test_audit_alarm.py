"""What audits say of a certificate: the bound, which holds whenever it is looked at, and the alarm."""

from __future__ import annotations

import ctypes
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests.audits import JUDGE, NODE, audited, differ, eventually, found, remote
from tests.servers.raw import raw_server
from tests.strategies import Array, of_graph, rows
from tests.telemetry import metering

X = rows(6, 3)


def fortunes(counts: list[tuple[int, int]], shares: Array) -> Array:
    """The largest fortune, over the steps so far, against each share: gambler by gambler, and row by row."""
    powers = np.arange(-16, 17)
    stakes, parts = 2.0 ** (powers / 2), 1 / (4.0 + abs(powers)) ** 2
    stakes = np.minimum(stakes[:, None], 1 / shares)
    owned, most = np.ones(stakes.shape) * (parts / parts.sum())[:, None], np.zeros(len(shares))
    for asked, differed in counts:
        for differs in [1] * differed + [0] * (asked - differed):
            owned *= 1 + stakes * (differs - shares)
        most = np.maximum(most, owned.sum(0))
    return most


def test_the_bound_is_the_least_share_that_no_gambler_ruins() -> None:
    shares = np.linspace(0.0005, 0.9995, 1999)
    random = np.random.default_rng(15)
    for truth in (0.05, 0.5):
        counts: list[tuple[int, int]] = []
        with raw_server(differ) as server:
            session = oh.Session(audited(server.url, rows=True))
            for _ in range(12):
                x = np.where(random.random((20, 1)) < truth, -1, np.ones((20, 3))).astype(np.float32)
                session.run(None, {"x": x})
                counts.append((20, int((x[:, 0] < 0).sum())))
                low = found(session, 20 * len(counts)).low
                least = shares[fortunes(counts, shares) < 20][0]
                assert least - 0.0005 - 1e-9 <= low <= least + 1e-9


def certified(url: str, promised: object, **more: object) -> oh.Model:
    certificate = {"loss": 0.01, "confidence": 0.95, "rows": 500, "differ_high": promised, **more}
    return audited(url, rows=True).with_metadata({"onnxhybrid.certificate": json.dumps(certificate)})


def test_an_audit_is_seen_by_opentelemetry() -> None:
    with metering() as metrics, raw_server(differ) as server:
        kept, broken = oh.Session(certified(server.url, 0.9)), oh.Session(certified(server.url, 0.1))
        for session in (kept, broken):
            number = session._scope.id
            assert metrics.of(number, "audit.alarm") == {(NODE,): 0}
            assert metrics.of(number, "audit.low") == {(NODE,): 0}
            session.run(None, {"x": rows(400, 3)})
            stats = found(session, 400)
            assert metrics.of(number, "audit.alarm") == {(NODE,): int(session is broken)}
            assert metrics.of(number, "audit.low") == {(NODE,): stats.low}
            for name in ("audited", "differed"):
                assert metrics.of(number, name)[(NODE,)] == getattr(stats, name) > 0


def test_a_session_that_audits_nothing_has_no_metric_of_audits() -> None:
    with metering() as metrics, raw_server(differ) as server:
        session = oh.Session(remote(server.url))
        session.run(None, {"x": X})
        assert metrics.of(session._scope.id, "calls") == {("m",): 1}
        for name in ("alarm", "low"):
            assert metrics.of(session._scope.id, f"audit.{name}") == {}


def test_the_alarm_is_raised_once_in_a_log_line_where_more_differ_than_was_promised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with raw_server(differ) as server, caplog.at_level(logging.WARNING, "onnxhybrid"):
        kept, broken = oh.Session(certified(server.url, 0.9)), oh.Session(certified(server.url, 0.1))
        x = rows(400, 3)
        for session in (kept, broken):
            for _ in range(2):
                session.run(None, {"x": x})
            found(session, 800)
            session.run(None, {"x": x})
            found(session, 1200)
        assert not kept.audit()[NODE].alarm
        stats = broken.audit()[NODE]
        assert stats.alarm
        assert stats.promised == 0.1 < stats.low < stats.differed / stats.audited
        lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "OH635" in lines[0]
    assert NODE in lines[0]


@pytest.mark.parametrize(
    ("told", "promised"),
    [
        ({"differ_high": 0.25}, 0.25),
        ({"differ_high": 0.25, "output": "y"}, 0.25),
        ({"differ_high": 0.25, "output": "other"}, None),
        ({"differ_high": "0.25"}, None),
        ({"differ_high": 2}, None),
        ({}, None),
        ([], None),
    ],
)
def test_what_a_certificate_promises_is_known_at_run_time(told: object, promised: float | None, tmp_path: Path) -> None:
    with raw_server(differ) as server:
        model = audited(server.url, rows=True).with_metadata({"onnxhybrid.certificate": json.dumps(told)})
        model.save(tmp_path / "m.onnx")
        for each in (model, tmp_path / "m.onnx", oh.load(tmp_path / "m.onnx").rename({"x": "image"})):
            session = oh.Session(each)
            assert session.audit()[NODE] == oh.AuditStats(promised=promised)
        assert oh.Session(model.rename({"y": "label"})).audit()[NODE].promised == promised
        proto = audited(server.url, rows=True).to_proto()
        proto.metadata_props.add(key="onnxhybrid.certificate", value=json.dumps(told))
        assert oh.Session(oh.Model.from_proto(proto)).audit()[NODE].promised == promised
        dropped = model.with_metadata({"onnxhybrid.certificate": "{}"})
        assert oh.Session(dropped).audit()[NODE].promised is None


def test_a_certificate_of_one_output_lets_that_one_be_compared() -> None:
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("same", "y")]
    nodes = [helper.make_node("Abs", ["x"], ["same"]), helper.make_node("Neg", ["x"], ["y"])]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    local = of_graph(helper.make_graph(nodes, "g", [value], outputs))
    served = of_graph(helper.make_graph([nodes[0], helper.make_node("Abs", ["x"], ["y"])], "g", [value], outputs))
    with serve({"m": served}) as server:
        cloud = oh.remote.triton(server.url, "m", inputs=local.inputs, outputs=local.outputs)
        model = oh.cascade(local, cloud, JUDGE, rows=True, audit=1.0)
        for output, count in [(None, (X > 0).any(1).sum()), ("y", (X > 0).any(1).sum()), ("same", 0)]:
            told = json.dumps({"differ_high": 0.5, "output": output})
            session = oh.Session(model.with_metadata({"onnxhybrid.certificate": told}))
            session.run(None, {"x": X})
            assert found(session, len(X)).differed == count


def unprepared(model: oh.Model) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    return onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)


def told(node: str) -> dict[str, Any]:
    """What the library says of a node of all sessions that nobody prepared."""
    library = ctypes.CDLL(oh.library_path())
    library.onnxhybrid_scope_stats.restype = ctypes.c_void_p
    library.onnxhybrid_free.argtypes = [ctypes.c_void_p]
    text = library.onnxhybrid_scope_stats(ctypes.c_uint64(0))
    rows: dict[str, Any] = json.loads(ctypes.string_at(text))
    library.onnxhybrid_free(text)
    row: dict[str, Any] = rows[node]["audit"]
    return row


def test_a_plain_session_audits_too_and_the_library_tells_what_it_found() -> None:
    with raw_server(differ) as server:
        session = unprepared(certified(server.url, 0.01).prefix("plain/", inputs=False, outputs=False))
        x = rows(100, 3)
        np.testing.assert_array_equal(session.run(["y"], {"x": x})[0], x)
        eventually(lambda: told(f"plain/{NODE}")["audited"] == 100)
        row = told(f"plain/{NODE}")
    assert row["differed"] == int((x[:, 0] < 0).sum())
    assert (row["alarm"], row["promised"]) == (True, 0.01)


def test_plain_sessions_of_one_file_add_up_and_those_of_other_files_do_not() -> None:
    with raw_server(differ) as server:
        models = [certified(server.url, share).prefix("twice/", inputs=False, outputs=False) for share in (0.2, 0.3)]
        sessions = [unprepared(model) for model in (*models, models[0])]
        for session in sessions:
            session.run(["y"], {"x": X})
        names = [f"twice/{NODE}", f"twice/{NODE} (2)"]
        eventually(lambda: sum(told(name)["audited"] for name in names) == 3 * len(X))
        assert {told(name)["promised"]: told(name)["audited"] for name in names} == {0.2: 2 * len(X), 0.3: len(X)}
