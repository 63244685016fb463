"""Every combinator from Java and from C: sessions in which one library was registered, and nothing else was prepared.

What comes out is what `oh.Session` gives, bit by bit. The numbers are whole, so that every release of ONNX Runtime's
kernels gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

import onnxhybrid as oh
from onnxhybrid.endpoint import serve
from tests import bindings
from tests.bindings import Array, Job, c, java
from tests.endpoint_models import identity
from tests.servers.blobs import reversing

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
CLOSED = "http://127.0.0.1:1"
BINDINGS = {"Java": java, "C": c}


def linear(factor: int, shift: int) -> oh.Model:
    """A local model x float32[n, 3] -> y float32[n, 3], in two nodes with h between them."""
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    linear (float[n, 3] x) => (float[n, 3] y) <float factor = {{{factor}.0}}, float shift = {{{shift}.0}}>
    {{
        h = Mul (x, factor)
        y = Add (h, shift)
    }}
    """
    return oh.Model.from_proto(onnx.parser.parse_model(text))


SMALL, LARGE = linear(2, 0), linear(3, 10)
JUDGE = oh.judge.logit_max("y") >= oh.Input("threshold", default=8.0)  # the first row of X is below, the second above
ACCEPTED, REFUSED = 0.0, 100.0


def remote(url: str, model: str = "large", **options: Any) -> oh.Model:
    settings: dict[str, Any] = {"inputs": LARGE.inputs, "outputs": LARGE.outputs, "retries": 0, "timeout": 20.0}
    return oh.remote.triton(url, model, **settings | options)


def cascades(url: str) -> Iterator[tuple[str, oh.Model]]:
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "rows": {"rows": True},
        "report": {"report": True},
        "rows, report": {"rows": True, "report": True},
        "speculate": {"speculate": True},
        "speculate, rows, report": {"speculate": True, "rows": True, "report": True},
        "audit": {"audit": 1.0},
        "audit, rows, report": {"audit": 0.5, "rows": True, "report": True},
    }
    for name, options in kinds.items():
        model = oh.cascade(SMALL, remote(url), JUDGE, **options)
        yield f"cascade, {name}", model
        yield f"cascade, {name}, all accepted", model.bind(threshold=ACCEPTED)
        yield f"cascade, {name}, all refused", model.bind(threshold=REFUSED)


def learned(url: str) -> Iterator[tuple[str, oh.Model]]:
    """A judge that was fitted: a row is good where its first number is large, which y tells as well as x."""
    rows = np.random.default_rng(0).uniform(0, 8, (200, 3)).astype(np.float32)
    scorer = oh.fit_judge(SMALL, rows, rows[:, 0] > 4, features=["x"])
    assert scorer.kind != "max_probability"
    yield "cascade, learned", oh.cascade(SMALL, remote(url), oh.judge.learned(scorer) >= 0.5, rows=True)


def resilient(url: str) -> Iterator[tuple[str, oh.Model]]:
    """What a file says of answers that are kept, second requests, slices, and names of endpoints."""
    kinds: dict[str, dict[str, Any]] = {
        "cache": {"cache": oh.Cache()},
        "cache of whole calls": {"cache": oh.Cache(rows=False, ttl=60)},
        "hedge": {"hedge": oh.Hedge("5ms", most=1.0)},
        "slices": {"batch": 1},
        "cache, hedge, slices": {"cache": oh.Cache(), "hedge": oh.Hedge("5ms", most=1.0), "batch": 1},
    }
    for name, options in kinds.items():
        yield name, remote(url, **options)
        yield f"{name}, begun early", oh.parallel(edge=SMALL, cloud=remote(url, **options))
        yield f"cascade, {name}", oh.cascade(SMALL, remote(url, **options), JUDGE, rows=True)
    named = oh.Endpoint("large", default=url)
    yield "endpoint by name", oh.remote.triton(named, "large", inputs=LARGE.inputs, outputs=LARGE.outputs)


def side_by_side(url: str) -> Iterator[tuple[str, oh.Model]]:
    cloud, other = remote(url), remote(url, "other")
    second = SMALL.rename({"x": "y", "y": "z"})
    yield "chain", oh.chain(cloud, second)
    yield "parallel", oh.parallel(edge=SMALL, cloud=cloud)
    yield "parallel of remotes", oh.parallel(one=cloud, other=other)
    yield (
        "overlap",
        oh.overlap(oh.parallel(edge=oh.chain(SMALL.rename({"y": "m"}), SMALL.rename({"x": "m"})), cloud=cloud)),
    )
    for combine in ("mean", "max"):
        yield f"ensemble, {combine}", oh.ensemble([SMALL, cloud, other], combine=combine)


def cuts(url: str) -> Iterator[tuple[str, oh.Model]]:
    head, tail = oh.split(LARGE, at=["h"])
    yield "split", oh.chain(head, tail)
    published = oh.remote.triton(url, "tail", inputs=tail.inputs, outputs=tail.outputs, retries=0)
    yield "offload", oh.offload(LARGE, at=["h"], to=lambda _: published)
    yield "splice", oh.splice(LARGE, inputs=["h"], outputs=["y"], replacement=published)


def fallbacks(url: str) -> Iterator[tuple[str, oh.Model]]:
    for name, primary in {
        "answered": remote(url),
        "refused": remote(url, "absent"),
        "unreachable": remote(CLOSED),
    }.items():
        yield f"fallback, {name}", oh.fallback(primary, SMALL, report=True)
    yield "fallback to another remote", oh.fallback(remote(CLOSED), remote(url), report=True)
    for name, model in {"answered": "large", "refused": "absent"}.items():
        yield f"flags, {name}", remote(url, model, on_error="flag")
        yield f"flags, {name}, begun early", oh.parallel(edge=SMALL, cloud=remote(url, model, on_error="flag"))


def branches(url: str) -> Iterator[tuple[str, oh.Model, dict[str, Array]]]:
    cloud = remote(url)
    for value in (True, False):
        yield f"switch, {value}", oh.switch("condition", then=cloud, else_=SMALL), {"condition": np.array(value)}
    for index in range(3):
        yield f"route, {index}", oh.route("which", [SMALL, cloud, remote(url, "other")]), {"which": np.array(index)}


def types(url: str) -> Iterator[tuple[str, oh.Model, dict[str, Array]]]:
    values: dict[str, Array] = {
        "BYTES": np.array([["grüß", ""], ["日本", "a\nb"]], object),
        "FP16": np.array([[0.5, -1]], np.float16),
        "BOOL": np.array([True, False]),
        "INT64": np.array([1 << 62, -1]),
        "UINT8": np.arange(5, dtype=np.uint8),
    }
    for name, value in values.items():
        spec = [
            oh.TensorSpec(tensor, "str" if name == "BYTES" else value.dtype, [None] * value.ndim) for tensor in "xy"
        ]
        one, two = (oh.remote.triton(url, name, inputs=spec[:1], outputs=spec[1:], retries=0) for _ in range(2))
        yield f"tensors of {name}", one, {"x": value}
        yield f"tensors of {name}, begun early", oh.parallel(one=one, two=two), {"x": value}
        if name == "INT64":
            yield "ensemble, vote", oh.ensemble([one, two], combine="vote"), {"x": value}


def blob(url: str) -> oh.Model:
    """A remote model x uint8["n"] -> y uint8["m"], each an element of BYTES."""
    x, y = oh.TensorSpec("x", "uint8", ("n",)), oh.TensorSpec("y", "uint8", ("m",))
    return oh.remote.triton(url, "m", inputs=[x], outputs=[y], bytes=["x", "y"], retries=0)


def files(url: str) -> dict[str, tuple[oh.Model, dict[str, Array]]]:
    """Every file that is run, and what it is fed."""
    plain = {
        name: (model, {"x": X})
        for group in (cascades, learned, resilient, side_by_side, cuts, fallbacks)
        for name, model in group(url)
    }
    fed = {
        name: (model, {"x": X} | feeds if "x" not in feeds else feeds)
        for group in (branches, types)
        for name, model, feeds in group(url)
    }
    return plain | fed


NAMES = sorted(files(CLOSED))
GIVEN = "cascade whose threshold is given"
BYTES = "bytes that are no text"
JPEG = np.array([0xFF, 0xD8, 0xFF, 0xE0, 0, 0x10, *range(256)], np.uint8)


class Ran:
    """All files, run by `oh.Session` and by a binding while one server answered both."""

    def __init__(self, run: Callable[[Path, Path], Any], folder: Path) -> None:
        tail = oh.split(LARGE, at=["h"])[1]
        echoes = {name: identity(name) for name in ("BYTES", "FP16", "BOOL", "INT64", "UINT8")}
        served = {"large": LARGE, "other": linear(5, 1), "tail": tail, **echoes}
        with serve(served) as server, reversing("y") as blobs:
            given = oh.cascade(SMALL, remote(server.url), JUDGE), {"x": X, "threshold": np.array([6], np.float32)}
            self.files = files(server.url) | {GIVEN: given, BYTES: (blob(blobs.url), {"x": JPEG})}
            self.jobs = {name: self._job(name, folder / str(place)) for place, name in enumerate(self.files)}
            self.expected = {name: self._run(name) for name in self.files}
            done = run(bindings.write(list(self.jobs.values()), folder / "jobs"), folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def _job(self, name: str, folder: Path) -> Job:
        model, feeds = self.files[name]
        path = folder.with_suffix(".onnx")
        model.save(path)
        return Job(path, feeds, folder)

    def _run(self, name: str) -> Mapping[str, Array]:
        session = oh.Session(self.jobs[name].model)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, self.files[name][1]), strict=True))


@pytest.fixture(scope="module", params=BINDINGS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    binding = BINDINGS[request.param]
    if missing := binding.unsupported():
        pytest.skip(f"no {request.param} here: {missing}")
    return Ran(binding.run, tmp_path_factory.mktemp(request.param))


def test_an_input_that_may_be_left_out_can_be_given_where_the_binding_lets_it(ran: Ran) -> None:
    try:
        found = bindings.outputs(ran.jobs[GIVEN])
    except RuntimeError as problem:
        assert "Unexpected number of inputs" in str(problem)  # Java's own word, before ONNX Runtime is asked
    else:
        np.testing.assert_array_equal(found["y"], 2 * X)


def test_bytes_that_are_no_text_go_and_come_as_they_are(ran: Ran) -> None:
    for found in (bindings.outputs(ran.jobs[BYTES])["y"], ran.expected[BYTES]["y"]):
        np.testing.assert_array_equal(found, JPEG[::-1])


@pytest.mark.parametrize("name", NAMES)
def test_a_file_runs_elsewhere_as_it_runs_here(ran: Ran, name: str) -> None:
    found, expected = bindings.outputs(ran.jobs[name]), ran.expected[name]
    assert found.keys() == expected.keys()
    for output, value in expected.items():
        assert (found[output].dtype, found[output].shape) == (value.dtype, value.shape), output
        if value.dtype == object:
            assert found[output].tolist() == value.tolist(), output
        else:
            assert found[output].tobytes() == value.tobytes(), output
