"""The certificate of a calibration: what it says, what keeps it, and what drops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy import stats

import onnxhybrid as oh
from onnxhybrid.model.graphs import all_nodes
from tests.cascades import THRESHOLD, cascade, drawn, local, remote

ENTRY = "onnxhybrid.certificate"
DATA, LABELS = drawn(800, 31)


def server(**options: Any) -> oh.Model:
    inputs, outputs = [oh.TensorSpec("x", "float32", ("n", 3))], [oh.TensorSpec("label", "int64", ("n",))]
    return oh.remote.triton("http://127.0.0.1:9", "remote", inputs=inputs, outputs=outputs, **options)


def certified(hybrid: oh.Model | None = None) -> oh.Calibration:
    return oh.calibrate(hybrid or cascade(report=True), DATA, LABELS, loss=0.03, output="label", progress=False)


FOUND = certified()
MODEL = FOUND.model


def told(model: oh.Model) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(model.metadata[ENTRY])
    return found


def codes(model: oh.Model) -> list[str]:
    return [finding.code for finding in oh.validate(model)]


def test_it_says_what_was_proven_of_how_many_rows() -> None:
    certificate = told(MODEL)
    kept = DATA[:, 1] >= np.float32(certificate["threshold"])
    lost = int((kept & (DATA[:, 0] != LABELS) & (DATA[:, 2] == LABELS)).sum())
    differ = int((kept & (DATA[:, 0] != DATA[:, 2])).sum())
    assert certificate["loss_high"] == pytest.approx(stats.beta.ppf(0.95, lost + 1, 800 - lost))
    assert certificate["differ_high"] == pytest.approx(stats.beta.ppf(0.95, differ + 1, kept.sum() - differ))
    assert certificate["loss_high"] <= certificate["loss"] == 0.03
    assert (certificate["confidence"], certificate["rows"], certificate["output"]) == (0.95, 800, "label")
    assert certificate["threshold"] == FOUND.threshold
    assert set(certificate["parts"]) == {"local", "judge", "remote", "output"}
    assert FOUND.certificate is not None
    assert FOUND.certificate.data == certificate["data"]


def test_its_data_hash_is_that_of_these_rows_and_labels() -> None:
    def data_hash(rows: Any, labels: Any) -> str:
        found = oh.calibrate(cascade(), rows, labels, loss=0.03, progress=False).certificate
        assert found is not None
        return found.data

    same = data_hash(iter([DATA[:100], DATA[100:]]), LABELS.astype(np.int64))
    assert same == told(MODEL)["data"]
    changed, others = DATA.copy(), LABELS.copy()
    changed[5, 0] += 1
    others[5] += 1
    assert len({same, data_hash(changed, LABELS), data_hash(DATA, others), data_hash(DATA, None)}) == 4


KEEPING: dict[str, Callable[[oh.Model], oh.Model]] = {
    "rename": lambda model: model.rename({"label": "klasse", "threshold": "t", "x": "rows"}),
    "rename an inner tensor": lambda model: model.rename({"number": "inner"}),
    "prefix": lambda model: model.prefix("a/"),
    "prefix, functions included": lambda model: model.prefix("a/", functions=True),
    "with_metadata": lambda model: model.with_metadata({"owner": "somebody"}),
}


@pytest.mark.parametrize("name", KEEPING)
def test_other_names_keep_it_and_it_is_still_true(name: str, tmp_path: Path) -> None:
    model = KEEPING[name](MODEL)
    model.save(tmp_path / "m.onnx")
    loaded = oh.load(tmp_path / "m.onnx")
    for kept in (model, loaded, oh.Model.from_proto(loaded.to_proto())):
        assert told(kept)["parts"] == told(MODEL)["parts"]
        assert told(kept)["output"] in {spec.name for spec in kept.outputs}
        assert codes(kept) == codes(cascade())


def test_weights_beside_the_file_are_the_same_weights(tmp_path: Path) -> None:
    MODEL.save(tmp_path / "m.onnx", external_data=True)
    assert codes(oh.load(tmp_path / "m.onnx")) == codes(cascade())


DROPPING: dict[str, Callable[[oh.Model], oh.Model]] = {
    "another threshold": lambda model: model.bind(threshold=0.1),
    "the same threshold, bound": lambda model: model.bind(threshold=FOUND.threshold),
    "select": lambda model: model.select(["label"]),
    "expose": lambda model: model.expose(["number"]),
    "cast": lambda model: model.cast({"label": "int32"}),
    "expand_dims": lambda model: model.expand_dims(1, ["label"]),
    "declare": lambda model: model.declare({"x": (7, 3)}),
    "chain": lambda model: oh.chain(model, _plus_one()),
    "parallel": lambda model: oh.parallel(a=model, b=remote()),
    "splice": lambda model: oh.splice(model, inputs=["number"], outputs=["local/label"], replacement=_cast()),
    "fallback": lambda model: oh.fallback(server(on_error="flag"), model.select(["label"])),
}


@pytest.mark.parametrize("name", DROPPING)
def test_every_other_change_drops_it(name: str) -> None:
    assert ENTRY not in DROPPING[name](MODEL).metadata


def test_another_remote_drops_it() -> None:
    model = cascade(asked=server()).with_metadata({ENTRY: MODEL.metadata[ENTRY]})
    assert ENTRY not in model.retarget({"http://127.0.0.1:9": "http://127.0.0.1:10"}).metadata
    assert ENTRY not in oh.overlap(oh.parallel(a=model, b=model)).metadata
    assert ENTRY not in oh.legacy.export(model).metadata


def _one_node(node: onnx.NodeProto, given: onnx.ValueInfoProto, gives: onnx.ValueInfoProto) -> oh.Model:
    graph = helper.make_graph([node], "g", [given], [gives])
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


def _cast() -> oh.Model:
    given = helper.make_tensor_value_info("number", TensorProto.FLOAT, ["n"])
    gives = helper.make_tensor_value_info("local/label", TensorProto.INT64, ["n"])
    return _one_node(helper.make_node("Cast", ["number"], ["local/label"], to=TensorProto.INT64), given, gives)


def _plus_one() -> oh.Model:
    one = numpy_helper.from_array(np.array(1, np.int64), "one")
    inputs = [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("next", TensorProto.INT64, ["n"])]
    graph = helper.make_graph([helper.make_node("Add", ["label", "one"], ["next"])], "g", inputs, outputs, [one])
    return oh.Model.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


def _default(proto: onnx.ModelProto) -> None:
    (tensor,) = (tensor for tensor in proto.graph.initializer if tensor.name == "threshold")
    tensor.CopyFrom(numpy_helper.from_array(np.array([0.01], np.float32), "threshold"))


def _no_default(proto: onnx.ModelProto) -> None:
    kept = [tensor for tensor in proto.graph.initializer if tensor.name != "threshold"]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)


def _weight(proto: onnx.ModelProto) -> None:
    (tensor,) = (tensor for tensor in proto.graph.initializer if tensor.name == "at_0")
    tensor.CopyFrom(numpy_helper.from_array(np.array(2), "at_0"))


def _judge(proto: onnx.ModelProto) -> None:
    for function in proto.functions:
        for node in function.node:
            node.op_type = "Greater" if node.op_type == "GreaterOrEqual" else node.op_type


def _promise(proto: onnx.ModelProto) -> None:
    for entry in proto.metadata_props:
        if entry.key == ENTRY:
            entry.value = json.dumps({**json.loads(entry.value), "threshold": 0.0})


def _nonsense(proto: onnx.ModelProto) -> None:
    for entry in proto.metadata_props:
        if entry.key == ENTRY:
            entry.value = "proven"


def _any_row(proto: onnx.ModelProto) -> None:
    """All rows are kept where one is."""
    (node,) = (node for node in proto.graph.node if node.op_type == "ReduceProd")
    node.op_type = "ReduceMax"


def _choice(proto: onnx.ModelProto) -> tuple[int, onnx.NodeProto]:
    return next((place, node) for place, node in enumerate(proto.graph.node) if node.op_type == "If")


def _always(proto: onnx.ModelProto) -> None:
    """The choice reads a constant."""
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    _choice(proto)[1].input[0] = "yes"


def _or(proto: onnx.ModelProto) -> None:
    """Something is put between the verdict and the choice."""
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    place, choice = _choice(proto)
    either = helper.make_node("Or", [choice.input[0], "yes"], ["either"], "or")
    choice.input[0] = "either"
    proto.graph.node.insert(place, either)


def _one_branch(proto: onnx.ModelProto) -> None:
    """The choice waits for a node that passes the verdict on in one branch alone."""
    place, choice = _choice(proto)
    output = helper.make_tensor_value_info("other", TensorProto.BOOL, None)
    node = helper.make_node("Identity", [choice.input[0]], ["other"])
    graphs = {
        "then_branch": helper.make_graph([], "a", [], [output], [numpy_helper.from_array(np.array(True), "other")]),
        "else_branch": helper.make_graph([node], "b", [], [output]),
    }
    look = helper.make_node("If", [choice.input[0]], ["told"], "look", **graphs)
    choice.input[0] = "told"
    proto.graph.node.insert(place, look)


EDITS = [_default, _no_default, _weight, _judge, _promise, _nonsense, _any_row, _always, _or, _one_branch]


@pytest.mark.parametrize("edit", EDITS)
def test_a_file_that_was_edited_otherwise_is_found_out(edit: Callable[[onnx.ModelProto], None]) -> None:
    proto = MODEL.to_proto()
    edit(proto)
    assert "OH614" in codes(oh.Model.from_proto(proto))


@pytest.mark.parametrize(
    "numbers",
    [
        {"loss": "small"}, {"loss": float("nan")}, {"loss": 0.0001}, {"confidence": 2}, {"rows": -1}, {"rows": 1.5},
        {"loss_high": None}, {"differ_high": -0.1},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_no_calibration_gives_are_found_out(numbers: dict[str, Any]) -> None:
    assert "OH614" in codes(MODEL.with_metadata({ENTRY: json.dumps({**told(MODEL), **numbers})}))


def _audited() -> onnx.ModelProto:
    """A calibrated cascade that audits: one of a local model, with a call in the remote's place."""
    hybrid = cascade(asked=server(), audit=0.1)
    proof = certificate_of(hybrid, told(MODEL)["threshold"])
    limit = numpy_helper.from_array(np.array([told(MODEL)["threshold"]], np.float32), "threshold")
    proto = hybrid.to_proto()
    kept = [tensor for tensor in proto.graph.initializer if tensor.name != "threshold"]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend([*kept, limit])
    return oh.Model.from_proto(proto).with_metadata({ENTRY: proof}).to_proto()


def certificate_of(hybrid: oh.Model, threshold: float) -> str:
    """The entry that a calibration of this cascade with a server at hand would write."""
    from onnxhybrid.compose.cascade.identity import identity

    return json.dumps({**told(MODEL), "threshold": threshold, "parts": identity(hybrid, "label")})


def _audit_that_keeps_all(proto: onnx.ModelProto) -> None:
    """Where nothing is drawn, all is kept."""
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    (look,) = (node for node in proto.graph.node if node.op_type == "If" and node.name == "audit")
    (branch,) = (attribute.g for attribute in look.attribute if attribute.name == "else_branch")
    branch.node[0].input[0] = "yes"


def _audit_of_another_promise(proto: onnx.ModelProto) -> None:
    for node in all_nodes(proto):
        for attribute in node.attribute:
            if attribute.name == "promised":
                attribute.s = b"0.9"


def _promise_of_another_audit(proto: onnx.ModelProto) -> None:
    for entry in proto.metadata_props:
        if entry.key == ENTRY:
            entry.value = json.dumps({**json.loads(entry.value), "differ_high": 0.9})


@pytest.mark.parametrize("edit", [_audit_that_keeps_all, _audit_of_another_promise, _promise_of_another_audit])
def test_an_audit_that_was_edited_is_found_out(edit: Callable[[onnx.ModelProto], None]) -> None:
    proto = _audited()
    assert "OH614" not in codes(oh.Model.from_proto(proto))
    edit(proto)
    assert "OH614" in codes(oh.Model.from_proto(proto))


@pytest.mark.parametrize(
    "options", [{"timeout": 7.0}, {"parameters": {"k": 1}}, {"on_error": "flag"}, {"auth": oh.Credential("a")}]
)
def test_any_other_remote_node_is_found_out(options: dict[str, Any]) -> None:
    from onnxhybrid.compose.cascade.identity import identity

    one, other = (identity(cascade(asked=server(**given)), "label") for given in ({}, options))
    assert one["remote"] != other["remote"]
    assert one["local"] == other["local"]


def test_the_remotes_hash_does_not_depend_on_local_or_the_judge() -> None:
    from onnxhybrid.compose.cascade.identity import identity

    value = oh.judge.value("score")
    one = identity(cascade(asked=server()), "label")
    other = identity(cascade(value > oh.Input("limit", default=9), asked=server()), "label")
    assert one["remote"] == other["remote"]
    assert one["judge"] != other["judge"]
    assert one["local"] == other["local"]
    third = identity(oh.cascade(_another_local(), server(), accept=value >= THRESHOLD, rows=True), "label")
    assert third["remote"] == one["remote"]
    assert third["local"] != one["local"]


def _another_local() -> oh.Model:
    proto = local().to_proto()
    _weight(proto)
    return oh.Model.from_proto(proto)


def test_a_calibration_of_a_calibrated_file_puts_another_certificate_in_its_place() -> None:
    again = oh.calibrate(MODEL, DATA, LABELS, loss=0.1, output="label", progress=False)
    assert told(again.model)["loss"] == 0.1
    assert again.threshold < FOUND.threshold
    assert told(again.model)["parts"] == told(MODEL)["parts"]
