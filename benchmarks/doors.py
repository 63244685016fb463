"""The second door beside the first: `python -m benchmarks.doors [--calls N] [--rounds N]`.

A plain session whose execution provider is the library, in turns with one that registered the library's operators, and
with `oh.Session`: a small call to a server on loopback, and a cascade's row that is accepted, where no call is made.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import onnxruntime

import onnxhybrid as oh
from benchmarks.loopback import ECHO, serve
from benchmarks.measure import Call, compare, p50
from tests.second_door import opened
from tests.strategies import dense, rows

SLOWER = 1.05
"""The share of the first door's time that the second may take; the machine's noise is more than a call's difference."""


def main() -> int:
    """Measure, and print a table; 1 where the second door costs more than the first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doors", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000, help="calls of each contestant in a round")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print(f"{'work':<16} {'beside':<16} {'second':>8} {'first':>8} ms   ratio (of the rounds)", flush=True)
    met = True
    with serve() as address:
        for work, model, feeds in _works(address):
            second = _run(opened(model), feeds)
            for name, session in {"registered": _registered(model), "oh.Session": oh.Session(model)}.items():
                found = compare(p50(given.calls), second, _run(session, feeds), rounds=given.rounds)
                low, high = found.spread
                ratio = f"{found.ratio:>5.2f}× ({low:.2f}–{high:.2f})"
                print(f"{work:<16} {name:<16} {found.ours:>8.4f} {found.peer:>8.4f}      {ratio}", flush=True)
                met = met and (name != "registered" or found.ratio <= SLOWER)
    return 0 if met else 1


def _works(address: str) -> list[tuple[str, oh.Model, dict[str, object]]]:
    tensor = {name: [oh.TensorSpec(name, "float32", ("n",))] for name in "xy"}
    url = address if "://" in address else f"http://{address}"
    call = oh.remote.triton(url, ECHO, inputs=tensor["x"], outputs=tensor["y"], retries=0)
    local = dense("local", "x", "y", (3, 3), softmax=True)
    whole = oh.remote.triton(url, ECHO, inputs=local.inputs, outputs=local.outputs, retries=0)
    accepted = oh.cascade(local, whole, oh.judge.max_probability("y") >= 0.0)
    return [
        ("small call", call, {"x": np.arange(256, dtype=np.float32)}),
        ("accepted row", accepted, {"x": rows(1, 3)}),
    ]


def _registered(model: oh.Model) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(oh.library_path())
    return onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options)


def _run(session: onnxruntime.InferenceSession, feeds: dict[str, object]) -> Call:
    return lambda: session.run(None, feeds)


if __name__ == "__main__":
    sys.exit(main())
