"""The hybrids that every binding runs: all combinators, protocols, types and errors, each a file with its feeds.

The numbers are whole, so that every release of ONNX Runtime's kernels gives the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx.parser

import onnxhybrid as oh
from tests.bindings import Array
from tests.bindings.servers import CLOSED, Servers

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
BYTES = "bytes that are no text"
JPEG = np.array([0xFF, 0xD8, 0xFF, 0xE0, 0, 0x10, *range(256)], np.uint8)


@dataclass(frozen=True)
class Hybrid:
    """A model, what it is fed, and what its session is given."""

    model: oh.Model
    feeds: Mapping[str, Array] = field(default_factory=lambda: {"x": X})
    settings: Mapping[str, Any] | None = None
    """Of the session, as the entry onnxhybrid.session has them."""
    in_file: bool = False
    """Whether the settings are in a file that the entry names."""
    defaults: Mapping[str, Array] = field(default_factory=dict)
    """Values of initializers, for inputs that have a default."""
    external: bool = False
    """Whether its weights are in a file beside it."""

    @property
    def entry(self) -> str:
        """Its settings as text."""
        return json.dumps(self.settings)


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


def combined(servers: Servers) -> dict[str, Hybrid]:
    """A hybrid of each kind that `oh` makes, by its name."""
    url = servers.models
    plain = {
        name: Hybrid(model)
        for group in (cascades, learned, resilient, side_by_side, cuts, fallbacks)
        for name, model in group(url)
    }
    fed = {
        name: Hybrid(model, feeds if "x" in feeds else {"x": X} | feeds)
        for group in (branches, types)
        for name, model, feeds in group(url)
    }
    return {**plain, **fed, BYTES: Hybrid(blob(servers.blobs), {"x": JPEG})}
