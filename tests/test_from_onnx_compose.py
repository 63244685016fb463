"""What onnx.compose can do gives the same values here, and onnx.compose can merge what is made here."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx.compose
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import ModelProto, helper, parser

import onnxhybrid as oh
from onnxhybrid.testing.strategies import feeds, models


def _proto(model: oh.Model, like: oh.Model | None = None) -> ModelProto:
    """The model for onnx.compose, which wants equal opsets, IR versions and no name twice."""
    proto = model.to_proto()
    if like is not None:
        proto.ir_version = like.ir_version
        known = {entry.domain: entry.version for entry in proto.opset_import}
        assume(all(like.opsets.get(domain, version) == version for domain, version in known.items()))
        del proto.opset_import[:]
        proto.opset_import.extend(helper.make_opsetid(d, v) for d, v in ({**like.opsets, **known}).items())
    return proto


def _merged(first: oh.Model, second: oh.Model, **arguments: Any) -> ModelProto:
    """What merge_models gives; where it refuses there is nothing to compare."""
    try:
        left = _proto(first, second)
        merged: ModelProto = onnx.compose.merge_models(left, _proto(second, oh.Model.from_proto(left)), **arguments)
    except (ValueError, TypeError, onnx.checker.ValidationError):
        assume(False)
        raise AssertionError from None
    return merged


@given(st.data())
def test_a_chain_gives_what_merge_models_gives(data: st.DataObject) -> None:
    x, m, n, y = (oh.TensorSpec(name, "float32", ("n", 3)) for name in "xmny")
    first, second = data.draw(models([x], [m])), data.draw(models([n], [y])).prefix("b/", inputs=False, outputs=False)
    theirs = _merged(first, second, io_map=[("m", "n")], prefix1="", prefix2="")
    feed = data.draw(feeds(first))
    (expected,) = oh.Session(oh.Model.from_proto(theirs)).run(None, feed)
    (got,) = oh.Session(oh.chain(first, second, connect={"n": "m"})).run(None, feed)
    np.testing.assert_array_equal(got, expected)


@given(st.data())
def test_a_kept_output_is_what_merge_models_keeps(data: st.DataObject) -> None:
    x, m, n, y = (oh.TensorSpec(name, "float32", ("n", 3)) for name in "xmny")
    first, second = data.draw(models([x], [m])), data.draw(models([n], [y])).prefix("b/", inputs=False, outputs=False)
    theirs = _merged(first, second, io_map=[("m", "n")], outputs=["m", "y"])
    ours = oh.chain(first, second, connect={"n": "m"}, keep=["m"])
    assert [output.name for output in ours.outputs] == [output.name for output in theirs.graph.output]
    feed = data.draw(feeds(first))
    expected = oh.Session(oh.Model.from_proto(theirs)).run(None, feed)
    for mine, other in zip(oh.Session(ours).run(None, feed), expected, strict=True):
        np.testing.assert_array_equal(mine, other)


@given(st.data(), st.booleans(), st.booleans())
def test_a_prefix_names_what_add_prefix_names(data: st.DataObject, inputs: bool, outputs: bool) -> None:
    x, y = (oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy")
    model = data.draw(models([x], [y]))
    theirs = oh.Model.from_proto(
        onnx.compose.add_prefix(model.to_proto(), "p/", rename_inputs=inputs, rename_outputs=outputs)
    )
    ours = model.prefix("p/", inputs=inputs, outputs=outputs, functions=True)
    assert (ours.inputs, ours.outputs) == (theirs.inputs, theirs.outputs)
    assert {f.name for f in ours.to_proto().functions} == {f.name for f in theirs.to_proto().functions}


@given(st.data(), st.integers(-1, 1))
def test_an_axis_stands_where_expand_out_dim_puts_it(data: st.DataObject, axis: int) -> None:
    x, y = (oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy")
    model = data.draw(models([x], [y]))
    assume(model.opsets[""] >= 13)  # before, what expand_out_dim writes does not load
    theirs = onnx.compose.expand_out_dim(model.to_proto(), axis)
    for output in theirs.graph.output:
        output.type.tensor_type.ClearField("shape")  # sizes that it knows wrong for -1, and as 0 for names
    feed = data.draw(feeds(model))
    (expected,) = oh.Session(oh.Model.from_proto(theirs)).run(None, feed)
    np.testing.assert_array_equal(oh.Session(model.expand_dims(axis)).run(None, feed)[0], expected)


@pytest.mark.parametrize("remote_first", [False, True])
def test_onnx_compose_merges_a_remote_model(remote_first: bool) -> None:
    local = oh.Model.from_proto(
        parser.parse_model(
            '<ir_version:8, opset_import:["":17, "ai.onnxhybrid":1]> g (float[n,4] x) => (float[n,4] h) { h = Neg(x) }'
        )
    )
    with oh.endpoint.serve({"m": local.prefix("r/")}) as server:
        remote = oh.remote.triton(server.url, "m").to_proto()
        remote.ir_version = local.ir_version
        del remote.opset_import[:]
        remote.opset_import.extend(local.to_proto().opset_import)
        if remote_first:
            merged = onnx.compose.merge_models(remote, local.to_proto(), io_map=[("r/h", "x")])
        else:
            merged = onnx.compose.merge_models(local.to_proto(), remote, io_map=[("h", "r/x")])
        feed = np.arange(8, dtype=np.float32).reshape(2, 4)
        session = oh.Session(oh.Model.from_proto(merged))
        (got,) = session.run(None, {merged.graph.input[0].name: feed})
        np.testing.assert_array_equal(got, feed)  # negated twice
        (counted,) = session.stats().values()
        assert counted.calls == 1
