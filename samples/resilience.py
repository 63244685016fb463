"""One file, two servers by one name: what is known is not asked, a server dies, one hangs, and the money runs out.

    python samples/resilience.py

Each step is a session of the same file. All of them spend of one budget, which a ledger keeps.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from written import graph

import onnxhybrid as oh

_SQUARE = """
<ir_version: 8, opset_import: ["": 17]>
square (float[n] number) => (float[n] square) { square = Mul (number, number) }
"""


def ask(session: oh.Session, *numbers: float) -> None:
    """Ask for the squares of numbers, and print them, what they took, and what the session did so far."""
    began = perf_counter()
    (squares,) = session.run(None, {"number": np.array(numbers, np.float32)})
    took, stats = perf_counter() - began, session.stats()["square"]
    counts = f"{stats.cache_hits} cache hits, {stats.retries} repeats, {stats.hedges} hedges"
    told = " ".join(f"{square:g}" for square in squares)
    print(f"  {told:<12} {took * 1000:4.0f} ms, {counts}, {stats.spent:.2f} spent")


def spend(session: oh.Session) -> None:
    """Ask until the budget refuses, and print what a caller sees then."""
    try:
        for number in range(100):
            ask(session, number)
    except oh.PolicyDenied as error:
        print(f"  {error.code}: {error.message}")
    print(f"  {session.stats().budget}")


def main() -> None:
    """Serve the model twice, and take one of the two away."""
    with ExitStack() as open_, TemporaryDirectory() as folder:
        first, second = (oh.endpoint.serve({"square": graph(_SQUARE)}) for _ in range(2))
        open_.enter_context(second)
        with first:
            remote = oh.remote.triton(
                oh.Endpoint("gpu", default=first.url),  # where a session says nothing else
                "square",
                cache=oh.Cache(),
                hedge=oh.Hedge(after="100ms", most=1.0),  # most=0.05, say, where requests are many
            )
            file = Path(folder, "hybrid.onnx")
            remote.save(file)
            budget = {"cost": 0.10, "price": {"square": 0.01}, "ledger": Path(folder, "spend.ledger")}
            policy = oh.Policy(budget=budget)

            print("Nothing is asked twice: one request for two numbers of six, none for what is known")
            session = oh.Session(file, policy=policy)
            ask(session, 2, 3, 2, 2, 3, 2)
            ask(session, 3)

            print("A server dies: the other one of the name answers")
            session = oh.Session(file, policy=policy, endpoints={"gpu": [first.url, second.url]})
            ask(session, 4)
        ask(session, 5)
        asked = session.stats()["square"].endpoints
        print(f"  requests: {asked[first.url]} to the first server, {asked[second.url]} to the second")

        print("A server takes the request and says nothing: after 100 ms the other one is asked, too")
        silent = open_.enter_context(socket.create_server(("127.0.0.1", 0)))
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ask(oh.Session(file, policy=policy, endpoints={"gpu": [silent_url, second.url]}), 6)

        print("The money runs out, for all who share the ledger")
        session = oh.Session(file, policy=policy, endpoints={"gpu": second.url})
        spend(session)


if __name__ == "__main__":
    main()
