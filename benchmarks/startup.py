"""How long the command line takes to answer: `python -m benchmarks.startup`.

Its help, against an interpreter that imports Typer and ends. Each is started in turn, so that what else the machine
does meets both alike; the medians are compared.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 30
MOST = 2.0
"""How many times as long as `import typer` the help may take."""

PROGRAMS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import typer'": ["-c", "import typer"],
    "onnxhybrid --help": ["-m", "onnxhybrid", "--help"],
    "onnxhybrid explain OH101": ["-m", "onnxhybrid", "explain", "OH101"],
}


def measured(rounds: int = ROUNDS) -> dict[str, float]:
    """The median of the seconds that each program takes."""
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, words in PROGRAMS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> int:
    """Print the table; the exit code says whether the help is fast enough."""
    seconds = measured()
    base = seconds["python -c 'import typer'"]
    for name, median in seconds.items():
        print(f"{name:<28}{median * 1000:7.0f} ms{median / base:6.2f} ×")
    return int(seconds["onnxhybrid --help"] > MOST * base)


if __name__ == "__main__":
    sys.exit(main())
