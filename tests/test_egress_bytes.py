"""The most bytes that `oh.egress` tells of a call are never fewer than a server receives, and not many more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid.model.dtypes import numpy_dtype
from tests.servers.faults import Good
from tests.servers.heard import listening_to

DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
)  # fmt: skip
NAMES = ("x", "größe", 'a"b', "long " * 9, "a/b")
SIZES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
ROOM = 400
"""Bytes that a bound may have more than what is sent for each tensor: digits of sizes that are not there."""

Array = np.ndarray[Any, Any]


@st.composite
def tensors(draw: st.DrawFn, sizes: st.SearchStrategy[tuple[int, ...]] = SIZES) -> list[oh.TensorSpec]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    return [oh.TensorSpec(name, draw(st.sampled_from(DTYPES)), draw(sizes)) for name in names]


def extreme(spec: oh.TensorSpec, random: np.random.Generator) -> Array:
    """Any bits that are a finite number, many of which take many digits."""
    dtype, shape = numpy_dtype(spec.dtype), [size for size in spec.shape or () if isinstance(size, int)]
    if spec.dtype == "bool":
        return np.asarray(random.random(shape) < 0.5)
    bits = random.bytes(int(np.prod(shape, dtype=int)) * dtype.itemsize)
    found = np.frombuffer(bits, dtype).reshape(shape).copy()
    if dtype.kind == "f":
        found[~np.isfinite(found)] = np.finfo(dtype).min
    return found


def sent(model: oh.Model, feeds: dict[str, Array], server: Any) -> list[int]:
    """How long the bodies of a run's requests were."""
    server.requests.clear() if isinstance(server.requests, list) else None
    before = len(server.requests)
    oh.Session(model).run(None, feeds)
    return [len(request.body) for request in server.requests[before:]]


def held(model: oh.Model, feeds: dict[str, Array], server: Any, loose: float) -> None:
    (outflow,) = oh.egress(model)
    lengths = [length for length in sent(model, feeds, server) if length]
    assert lengths
    assert outflow.max_bytes is not None
    assert max(lengths) <= outflow.max_bytes <= loose * max(lengths) + ROOM * (len(model.inputs) + 1)


@pytest.mark.parametrize("form", ["true", "false", "auto"])
def test_a_request_over_http_to_a_server_of_kserve_is_no_longer_than_told(form: str) -> None:
    binary = {"true": True, "false": False, "auto": None}[form]
    with listening_to(Good(b'{"outputs": []}', "application/json")) as server:

        @settings(max_examples=40, suppress_health_check=list(HealthCheck))
        @given(specs=tensors(), seed=st.integers(0, 999))
        def each(specs: list[oh.TensorSpec], seed: int) -> None:
            options: dict[str, Any] = {} if binary is None else {"binary": binary}
            gains = {"priority": oh.Input("gain", default=3), "ratio": 0.25}
            model = oh.remote.triton(
                server.url, "m", inputs=specs, outputs=[oh.TensorSpec("y", "float32", None)], parameters=gains,
                on_error="flag", retries=0, **options,
            )  # fmt: skip
            random = np.random.default_rng(seed)
            feeds = {spec.name: extreme(spec, random) for spec in specs}
            feeds["gain"] = np.array([-(2**63)])
            held(model, feeds, server, 16)

        each()


def test_a_request_over_grpc_is_no_longer_than_told() -> None:
    with listening_to(Good(b"", "application/grpc"), "grpc") as server:

        @settings(max_examples=40, suppress_health_check=list(HealthCheck))
        @given(specs=tensors(), seed=st.integers(0, 999))
        def each(specs: list[oh.TensorSpec], seed: int) -> None:
            model = oh.remote.triton(
                server.url, "m", inputs=specs, outputs=[oh.TensorSpec("y", "float32", None)], on_error="flag",
                retries=0, parameters={"sequence_id": oh.Input("id", default=1)},
            )  # fmt: skip
            random = np.random.default_rng(seed)
            feeds = {spec.name: extreme(spec, random) for spec in specs}
            held(model, {**feeds, "id": np.array([2**62])}, server, 2)

        each()


@pytest.mark.parametrize("form", ["named", "input_data", "mlflow", "dataframe_split", "input_data_split"])
def test_a_request_to_a_scoring_script_is_no_longer_than_told(form: str) -> None:
    sizes = st.sampled_from([(3,), (3, 1)]) if "split" in form else SIZES
    with listening_to(Good(b"{}", "application/json")) as server:

        @settings(max_examples=30, suppress_health_check=list(HealthCheck))
        @given(specs=tensors(sizes), seed=st.integers(0, 999))
        def each(specs: list[oh.TensorSpec], seed: int) -> None:
            outputs = [oh.TensorSpec("result", "float32", None)]
            settings_: dict[str, Any] = {"on_error": "flag", "retries": 0, "form": form, "auth": None}
            model = oh.remote.azureml(f"{server.url}/score", inputs=specs, outputs=outputs, **settings_)
            random = np.random.default_rng(seed)
            held(model, {spec.name: extreme(spec, random) for spec in specs}, server, 16)

        each()


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_a_batch_that_is_cut_bounds_what_has_any_number_of_rows(rows: int) -> None:
    specs = [oh.TensorSpec("x", "float64", ("n", 3)), oh.TensorSpec("k", "int64", (2,))]
    with listening_to(Good(b'{"outputs": []}', "application/json")) as server:
        model = oh.remote.triton(
            server.url, "m", inputs=specs, outputs=[oh.TensorSpec("y", "float32", ("n",))], batch=7, on_error="flag",
            retries=0, binary=True,
        )  # fmt: skip
        (outflow,) = oh.egress(model)
        lengths = sent(model, {"x": np.ones((rows, 3)), "k": np.array([1, 2])}, server)
        assert outflow.max_bytes is not None
        assert max(lengths) <= outflow.max_bytes < 7 * 24 + 16 + 2 * ROOM


def test_sizes_that_the_graph_fixes_bound_what_the_remote_leaves_open() -> None:
    specs = [oh.TensorSpec(name, "float32", (None, None)) for name in "xy"]
    cloud = oh.remote.triton("https://gpu.example", "m", inputs=specs[:1], outputs=specs[1:])
    assert oh.egress(cloud)[0].max_bytes is None
    assert oh.egress(cloud.declare({"x": (2, 3)}))[0].max_bytes is not None


def test_texts_have_no_bound() -> None:
    specs = [oh.TensorSpec("t", "str", (1,)), oh.TensorSpec("y", "float32", (1,))]
    cloud = oh.remote.triton("https://gpu.example", "m", inputs=specs[:1], outputs=specs[1:])
    assert oh.egress(cloud)[0].max_bytes is None
    assert oh.egress(oh.remote.openai_embeddings("e", url="https://api.example/v1"))[0].max_bytes is None
