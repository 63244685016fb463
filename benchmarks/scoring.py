"""Scoring two million rows, beside a loop written by hand: `python -m benchmarks.scoring`, or `make bench-scoring`.

The rows are a file of Parquet with 64 numbers each. A small classifier answers them, and sends the few of which it is
not sure to a larger one behind the embedded endpoint. The loop by hand has onnxruntime, pyarrow and threads over
slices, and none of what is told of failures, kills and records. Each run is a process, in turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq

import onnxhybrid as oh
from benchmarks.calibration import network
from tests.endpoint_process import serving

ROWS, ROUNDS = 2_000_000, 3
BATCH, WORKERS = 256, 16
GOAL, MOST_BYTES = 0.9, 1_500_000_000
_FEATURES, _GROUP = 64, 100_000
_SENT = 0.02


def make(path: Path, rows: int) -> None:
    """Write the rows."""
    random = np.random.default_rng(0)
    schema = pa.schema([("id", pa.int64()), ("image", pa.list_(pa.float32(), _FEATURES))])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, _GROUP):
            count = min(_GROUP, rows - start)
            values = pa.array(random.normal(size=count * _FEATURES).astype(np.float32))
            columns = [pa.array(np.arange(start, start + count)), pa.FixedSizeListArray.from_arrays(values, _FEATURES)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def hybrid(url: str) -> oh.Model:
    """The cascade, with the threshold at which about one row in fifty is sent."""
    local = oh.Model.from_proto(network("small", 32, 1))
    random = np.random.default_rng(1).normal(size=(20_000, _FEATURES)).astype(np.float32)
    (probabilities,) = oh.Session(local).run(["probabilities"], {"image": random})
    threshold = float(np.quantile(probabilities.max(axis=1), _SENT))
    remote = oh.remote.triton(url, "large")
    judge = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=threshold)
    return oh.cascade(local, remote, accept=judge, rows=True)


def by_hand(model: str, source: str, target: str) -> None:
    """The loop: slices over threads, some of them under way, and written in order."""
    options = onnxruntime.SessionOptions()
    oh.register(options)
    session = onnxruntime.InferenceSession(model, options)
    names = [output.name for output in session.get_outputs()]
    writer: pq.ParquetWriter | None = None
    waiting: deque[tuple[pa.Array, Future[list[Any]]]] = deque()
    done: list[pa.RecordBatch] = []

    def take() -> None:
        nonlocal writer
        ids, future = waiting.popleft()
        arrays = [_column(array) for array in future.result()]
        done.append(pa.RecordBatch.from_arrays([ids, *arrays], names=["id", *names]))
        if len(done) == 128 or not waiting:
            table = pa.Table.from_batches(done)
            writer = writer or pq.ParquetWriter(Path(target) / "all.parquet", table.schema)
            writer.write_table(table)
            done.clear()

    Path(target).mkdir()
    with ThreadPoolExecutor(WORKERS) as pool:
        for batch in pq.ParquetFile(source).iter_batches(BATCH):
            image = batch.column("image").flatten().to_numpy().reshape(-1, _FEATURES)
            waiting.append((batch.column("id"), pool.submit(session.run, names, {"image": image})))
            if len(waiting) > 4 * WORKERS:
                take()
        while waiting:
            take()
    if writer is not None:
        writer.close()


def _column(array: Any) -> pa.Array:
    return pa.array(array) if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(array.reshape(-1), array.shape[1])


def ours(model: str, source: str, target: str) -> None:
    """The same by `oh.score`."""
    oh.score(model, source, target, key="id", batch=BATCH, progress=False)


CONTESTANTS = {"ours": ours, "by hand": by_hand}


def run(name: str, model: Path, source: Path, folder: Path) -> tuple[float, int]:
    """Seconds and peak bytes of a contestant in a process of its own."""
    target = folder / "out"
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.scoring", "--only", name, str(model), str(source), str(target)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(told["seconds"]), int(told["peak"])


def only(name: str, *paths: str) -> None:
    """Be a contestant."""
    import pyarrow.compute  # noqa: F401  # what is imported is no cost of the rows

    import onnxhybrid.scoring.running  # noqa: F401

    began = time.perf_counter()
    CONTESTANTS[name](*paths)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak": peak()}))


def peak() -> int:
    """The most bytes that this process has held; what its parent held when it was forked is no part of them."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def same(folder: Path, model: Path, source: Path) -> bool:
    """Whether both gave the same rows."""
    labels = []
    for name in CONTESTANTS:
        run(name, model, source, folder)
        labels.append(pq.read_table(folder / "out", columns=["id", "label"]).sort_by("id"))
    return bool(labels[0].equals(labels[1]))


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", nargs=4)
    options = parser.parse_args()
    if options.only:
        only(*options.only)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder, {"large": oh.Model.from_proto(network("large", 64, 2))}) as server:
            hybrid(server.url).save(folder / "hybrid.onnx")
            make(folder / "few.parquet", min(options.rows, 50_000))
            equal = same(folder, folder / "hybrid.onnx", folder / "few.parquet")
            make(folder / "rows.parquet", options.rows)
            ratios, peaks = [], []
            for _ in range(options.rounds):
                found = {
                    each: run(each, folder / "hybrid.onnx", folder / "rows.parquet", folder) for each in CONTESTANTS
                }
                ratios.append(found["by hand"][0] / found["ours"][0])
                peaks.append(found["ours"][1])
                told = ", ".join(f"{each} {s:.1f} s and {p / 1e6:.0f} MB" for each, (s, p) in found.items())
                print(f"{options.rows} rows: {told}", flush=True)
    ratio, peak = statistics.median(ratios), max(peaks)
    print(f"{ratio:.2f} x the rows a second, goal {GOAL}; {peak / 1e6:.0f} MB, goal {MOST_BYTES / 1e6:.0f}")
    print("the rows are equal" if equal else "the rows differ")
    return 0 if ratio >= GOAL and peak <= MOST_BYTES and equal else 1


if __name__ == "__main__":
    sys.exit(main())
