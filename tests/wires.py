"""Whether a change of one input changes what a hybrid sends, as a server hears it; and hybrids to try that with."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from hypothesis import strategies as st
from onnx import helper

import onnxhybrid as oh
from onnxhybrid.model.graphs import all_nodes, nested_graphs
from onnxhybrid.model.remote_spec import RemoteSpec, is_remote
from tests.remote_graphs import remote_graphs
from tests.servers.echo import remote, shift
from tests.servers.raw import RawServer, answer
from tests.strategies import Array, local_models

Feeds = dict[str, Array]
Requests = dict[str, Counter[bytes]]
"""What was heard, by the name of the model that was asked: its requests, head and body."""


def moody(connection: socket.socket, request: bytes) -> None:
    """Give back the tensor, shifted; of a model "moody…" with another status where the first bits say so."""
    head, body = request.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"inference-h"))
    (tensor,) = json.loads(body[:length])["inputs"]
    model = asked(request)
    values = np.frombuffer(body[length:], np.float32)
    if model.startswith("moody") and sum(body[length:]) % 3 == 0:
        answer(b'{"error": "not today"}', status="404 Not Found")(connection, request)
        return
    data = np.nan_to_num(values + shift(model), nan=7.0, posinf=8.0, neginf=9.0).tolist()
    output = {"name": "y", "datatype": "FP32", "shape": tensor["shape"], "data": data}
    answer(json.dumps({"model_name": "m", "outputs": [output]}).encode())(connection, request)


def asked(request: bytes) -> str:
    """The model that a request asks."""
    return request.split(b"/v2/models/")[1].split(b"/")[0].decode()


def told_apart(model: oh.Model) -> oh.Model:
    """The model, each call of which asks a model of its own, a moody one where failures are data.

    A moody call is one request: of several that are under way, the first that fails ends the others, and which of them
    are heard is a matter of time.
    """
    proto = model.to_proto()
    for number, node in enumerate(filter(is_remote, all_nodes(proto))):
        changed: dict[str, Any] = {"model": f"steady{number}"}
        if RemoteSpec.of(node).on_error == "flag":
            changed = {"model": f"moody{number}", "batch": 0, "batch_bytes": 0}
        kept = [attribute for attribute in node.attribute if attribute.name not in changed]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in changed.items())])
    return oh.Model.from_proto(proto)


def droppable(model: oh.Model) -> frozenset[str]:
    """The models that are asked by a call which may be dropped before it is sent: one that only some branch awaits."""
    found: set[str] = set()
    for graph in nested_graphs(model.skeleton.graph):
        awaited = {node.input[0] for node in graph.node if node.op_type == "Await"}
        begun = [node for node in graph.node if node.op_type == "Begin" and node.output[0] not in awaited]
        found.update(RemoteSpec.of(node).model for node in begun)
    return frozenset(found)


@dataclass
class Tally:
    """How many of the inputs that were listed were seen to change something."""

    hybrids: int = 0
    runs: int = 0
    listed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    idle: list[tuple[oh.Model, str, str, str]] = field(default_factory=list)

    def share(self, kind: str) -> float:
        """The share of listed inputs that were not seen to change anything."""
        return 1 - self.seen[kind] / max(1, self.listed[kind])

    def __str__(self) -> str:
        kinds = [f"{kind}: {self.listed[kind]} listed, {self.share(kind):.1%} idle" for kind in self.listed]
        return f"{self.hybrids} hybrids, {self.runs} runs; " + "; ".join(kinds)


@dataclass(frozen=True)
class Trial:
    """A hybrid at a server, with what is said of each call, by the model that it asks.

    A call that may be dropped before it is sent is left out: whether it is heard is a matter of time.
    """

    model: oh.Model
    server: RawServer
    session: oh.Session
    outflows: Mapping[str, Any]

    @classmethod
    def of(cls, model: oh.Model, server: RawServer, **options: Any) -> Trial:
        """A hybrid whose calls are told apart."""
        found = oh.egress(model)
        assert [spec.node for spec in model.remotes] == [outflow.node for outflow in found]
        outflows = {spec.model: outflow for spec, outflow in zip(model.remotes, found, strict=True)}
        for name in droppable(model):
            del outflows[name]
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level = 4
        return cls(model, server, oh.Session(model, sess_options=quiet, **options), outflows)

    def sent(self, feeds: Mapping[str, Array]) -> Requests | None:
        """What a run sends; None where it fails."""
        self.server.requests.clear()
        try:
            self.session.run(None, dict(feeds))
        except oh.Error:
            return None
        found: Requests = defaultdict(Counter)
        for request in self.server.requests:
            found[asked(request)][request] += 1
        return found

    def compare(self, name: str, feeds: Mapping[str, Array], changed: Array) -> set[tuple[str, str]]:
        """Check what changes with an input against what is said; the changes, by model and kind.

        A call that an input neither changes nor decides sends the same; one that it only decides sends some of it; one
        that it only changes sends as many requests. A run that failed leaves calls that are heard late, so that what
        is seen once is looked at again.
        """
        told = {(m, kind) for m, outflow in self.outflows.items() for kind in _kinds(outflow, name)}
        found: set[tuple[str, str]] | None = None
        for turn in range(8):
            one, other = self.sent(feeds), self.sent({**feeds, name: changed})
            if one is None or other is None:
                return set()
            seen = {change for model in self.outflows for change in _changes(model, one[model], other[model])}
            found = seen if found is None else found & seen
            if not found or (turn and found <= told):
                return found
        raise AssertionError(f"{name!r} changes {set(found or ()) - told}: {one} and {other}")

    def settle(self, tally: Tally, changed: Mapping[str, set[tuple[str, str]]]) -> None:
        """Count what was listed, and what was seen."""
        tally.hybrids += 1
        for model, outflow in self.outflows.items():
            kinds = {
                "any": {*outflow.content, *outflow.decides},
                "content": set(outflow.content),
                "decides": set(outflow.decides),
            }
            for kind, names in kinds.items():
                for name in names:
                    tally.listed[kind] += 1
                    if (model, kind) in changed.get(name, ()):
                        tally.seen[kind] += 1
                    else:
                        tally.idle.append((self.model, model, kind, name))


def _changes(model: str, before: Counter[bytes], after: Counter[bytes]) -> Iterable[tuple[str, str]]:
    if before != after:
        yield model, "any"
    if before.total() != after.total():
        yield model, "decides"
    if not (before <= after or after <= before):
        yield model, "content"


def _kinds(outflow: Any, name: str) -> Iterable[str]:
    """The kinds of change that an input may make."""
    own = [kind for kind in ("content", "decides") if name in getattr(outflow, kind)]
    return [*own, "any"] if own else []


def explore(trial: Trial, random: np.random.Generator, tally: Tally, *, bases: int = 6, changes: int = 3) -> None:
    """Run a hybrid again and again, each time with one input changed."""
    changed: dict[str, set[tuple[str, str]]] = defaultdict(set)
    specs = {spec.name: spec for spec in trial.model.inputs}
    wanted = {
        (model, kind, name)
        for model, outflow in trial.outflows.items()
        for kind, names in (("content", outflow.content), ("decides", outflow.decides))
        for name in names
    }
    for turn in range(4 * bases):
        rows = int(random.choice([1, 2, 2, 3]))
        feeds = {name: value(spec, rows, random) for name, spec in specs.items()}
        if trial.sent(feeds) is None:
            continue
        for name, spec in specs.items():
            open_ = [entry for entry in wanted if entry[2] == name and (entry[0], entry[1]) not in changed[name]]
            if turn >= bases and not open_:
                continue
            for _ in range(changes):
                other = rows if random.random() < 0.8 else int(random.choice([0, 1, 2, 3]))
                changed[name] |= trial.compare(name, feeds, value(spec, other, random))
                tally.runs += 1
        if turn >= bases and all((model, kind) in changed[name] for model, kind, name in wanted):
            break
    trial.settle(tally, changed)


def value(spec: oh.TensorSpec, rows: int, random: np.random.Generator) -> Array:
    """Something that an input can be fed."""
    shape = (rows, 3) if spec.shape is None else tuple(size if isinstance(size, int) else rows for size in spec.shape)
    if spec.dtype == "bool":
        return np.array(random.random(shape) < 0.5)
    if spec.dtype == "int64":
        return random.integers(0, 3, shape)
    if spec.dtype == "float32" and spec.shape == (1,):  # a threshold
        return random.choice(np.array([-9.0, 0.0, 0.3, 0.5, 0.7, 1.5], np.float32), shape)
    drawn = random.normal(size=shape).astype(np.float32) * np.float32(random.choice([0.1, 1, 10]))
    if random.random() < 0.1:
        drawn.reshape(-1)[: random.integers(0, drawn.size + 1)] = random.choice([np.nan, np.inf, 0.0])
    return drawn


FLAGS = ("ok", "status", "error")


class Composer:
    """Draws compositions of one interface: some inputs of float32 (n, 3), and y like them."""

    def __init__(self, draw: st.DrawFn, url: str) -> None:
        self._draw, self._url = draw, url
        self._count = 0

    def model(self, depth: int, source: str = "") -> oh.Model:
        """A model of the output y; of one input where it is named."""
        kinds = ["Local", "Remote"]
        if depth:
            kinds = ["Chain", "Cascade", "Cascade", "Switch", "Fallback", "Ensemble", "Route", "Remote", "Parallel"]
        make: Callable[[int, str], oh.Model] = getattr(self, f"_{self._draw(st.sampled_from(kinds)).lower()}")
        return make(depth - 1, source or self._input())

    def _input(self) -> str:
        return self._draw(st.sampled_from(("x", "w")))

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    def _local(self, depth: int, source: str) -> oh.Model:
        inputs = [source] if self._draw(st.booleans()) else sorted({source, "v"})
        return self._draw(local_models(inputs))

    def _remote(self, depth: int, source: str) -> oh.Model:
        made = remote(self._url, self._new("m"), **self._options()).rename({"x": source})
        return made if self._draw(st.booleans()) else self._after(self._local(0, self._input()), made, source)

    def _options(self) -> dict[str, Any]:
        return self._draw(st.sampled_from(({}, {}, {"batch": 2}, {"retries": 0})))

    def _after(self, first: oh.Model, second: oh.Model, source: str) -> oh.Model:
        middle = self._new("t")
        return oh.chain(first.rename({"y": middle}), second.rename({source: middle}))

    def _chain(self, depth: int, source: str) -> oh.Model:
        return self._after(self.model(depth, source), self.model(depth, "z"), "z")

    def _cascade(self, depth: int, source: str) -> oh.Model:
        threshold = self._draw(st.sampled_from((0.5, oh.Input(self._new("threshold"), default=0.5))))
        kind: Any = self._draw(st.sampled_from((oh.judge.max_probability, oh.judge.value, oh.judge.margin)))
        remote_ = self.model(depth, source)
        options = {name: self._draw(st.booleans()) for name in ("rows", "speculate", "report")}
        local = self._draw(st.sampled_from((self._local(depth, source), self._local(depth, self._input()))))
        return oh.cascade(local, remote_, kind("y") >= threshold, **options).select(["y"])

    def _switch(self, depth: int, source: str) -> oh.Model:
        return oh.switch(self._draw(st.sampled_from("cd")), self.model(depth), self.model(depth, source))

    def _route(self, depth: int, source: str) -> oh.Model:
        return oh.route(self._new("index"), [self.model(depth, source), self.model(depth), self._local(0, source)])

    def _fallback(self, depth: int, source: str) -> oh.Model:
        return oh.fallback(self.model(depth, source), self.model(depth))

    def _ensemble(self, depth: int, source: str) -> oh.Model:
        members = [self.model(depth, source), self.model(depth)]
        return oh.ensemble(members, combine=self._draw(st.sampled_from(("mean", "max"))))

    def _parallel(self, depth: int, source: str) -> oh.Model:
        both = oh.parallel(a=self.model(depth, source), b=self.model(depth))
        if self._draw(st.booleans()):
            return both.select(["b/y"]).rename({"b/y": "y"})
        return both.rename({"b/y": "y"})


@st.composite
def compositions(draw: st.DrawFn, url: str, depth: int = 2) -> oh.Model:
    """Hybrids that the combinators make, whose calls are told apart."""
    composer = Composer(draw, url)
    try:
        made = composer.model(draw(st.integers(1, depth)))
    except (oh.ComposeError, oh.ModelError, oh.ValidationError):
        made = remote(url, "m")
    if draw(st.booleans()):
        made = oh.overlap(made)
    return told_apart(made)


@st.composite
def graphs(draw: st.DrawFn, url: str) -> oh.Model:
    """Random graphs with branches and loops, perhaps with a backup or as what a judge decides; calls are told apart."""
    made = draw(remote_graphs(url))
    (given, *_), whole = (spec.name for spec in made.outputs), draw(st.sampled_from(("", "", "fallback", "cascade")))
    with contextlib.suppress(oh.ComposeError):
        if whole == "fallback":
            made = oh.fallback(made.select([given]), remote(url, "b").rename({"x": "w", "y": given}))
        elif whole == "cascade":
            local = draw(local_models(["w"], [given]))
            made = oh.cascade(local, made.select([given]), oh.judge.value(given) >= oh.Input("threshold", default=0.5))
    return told_apart(oh.overlap(made) if draw(st.booleans()) else made)


def summary(idle: Iterable[tuple[oh.Model, str, str, str]]) -> str:
    """Some of the inputs that were listed and seen to do nothing."""
    return "\n".join(f"{kind} of {name!r} in {model!r}" for _, model, kind, name in list(idle)[:20])
