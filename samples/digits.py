"""A small digit classifier on the device, a large one in the cloud, and one ONNX file that uses both.

    python samples/digits.py

It trains both on real data (scikit-learn's handwritten digits), serves the large one over HTTP on this machine, and
composes a hybrid: run row by row, the small model answers where it is sure, and only the other rows travel. The table
shows what that is worth.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import skl2onnx
from matplotlib.figure import Figure
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import onnxhybrid as oh

SEED = 0
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
TOLERANCE = 0.005
"""How much accuracy the hybrid may lose against the cloud on the calibration rows: half a point."""

Array = npt.NDArray[Any]
Rows = tuple[Array, Array]
"""Images as float32 of shape [n, 64], and their digits as int64 of shape [n]."""


@dataclass
class Result:
    """What one way of running the test rows gave."""

    name: str
    threshold: float | None
    accuracy: float
    share_sent: float
    bytes_per_row: float
    p50_ms: float
    p90_ms: float

    def label(self) -> str:
        """The name, with the threshold if there is one."""
        return self.name if self.threshold is None else f"{self.name}, threshold {self.threshold}"


# -- the two models, as any project would have them -------------------------------------------------------------------


def split_rows() -> tuple[Rows, Rows, Rows]:
    """Rows to train on, rows to choose a threshold on, and rows that nothing but the final table sees."""
    images, digits = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    seen, unseen, seen_digits, unseen_digits = train_test_split(
        images, digits, test_size=0.4, stratify=digits, random_state=SEED
    )
    train, calibrate, train_digits, calibrate_digits = train_test_split(
        seen, seen_digits, test_size=0.25, stratify=seen_digits, random_state=SEED
    )
    return (train, train_digits), (calibrate, calibrate_digits), (unseen, unseen_digits)


def train_models(train: Rows, folder: Path) -> tuple[Path, Path]:
    """Train a model that a device can carry and one that it would rather not, and export both to ONNX."""
    images, digits = train
    small = LogisticRegression(C=0.0005, max_iter=1000).fit(images, digits)
    large = MLPClassifier((512, 256), max_iter=200, random_state=SEED).fit(images, digits)
    return export(small, folder / "small.onnx"), export(large, folder / "large.onnx")


def export(classifier: Any, path: Path) -> Path:
    """Write a classifier as ONNX: image float32[n, 64] -> label int64[n], probabilities float32[n, 10]."""
    model = skl2onnx.to_onnx(
        classifier,
        initial_types=[("image", FloatTensorType([None, 64]))],
        options={"zipmap": False},
    )
    path.write_bytes(model.SerializeToString())
    return path


# -- the hybrid: this is all there is to it ---------------------------------------------------------------------------


def compose(small: Path, url: str) -> tuple[oh.Model, oh.Model]:
    """The remote model alone, and the cascade of the small model and the remote one."""
    remote = oh.remote.triton(url, "digits")  # asks the server what the model takes and gives
    sure = oh.judge.max_probability("probabilities") >= oh.Input("threshold", default=0.5)
    return remote, oh.cascade(oh.load(small), remote, accept=sure)


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(name: str, model: oh.Model | Path, rows: Rows, threshold: float | None = None) -> Result:
    """Run a model one row at a time, as a device does."""
    session = oh.Session(model)
    feeds = {} if threshold is None else {"threshold": np.array([threshold], np.float32)}
    right, times = 0, []
    for image, digit in zip(*rows, strict=True):
        started = time.perf_counter()
        (label,) = session.run(["label"], {"image": image[np.newaxis], **feeds})
        times.append(time.perf_counter() - started)
        right += int(label[0] == digit)
    calls = session.stats().values()
    return Result(
        name=name,
        threshold=threshold,
        accuracy=right / len(times),
        share_sent=sum(node.calls for node in calls) / len(times),
        bytes_per_row=sum(node.bytes_out + node.bytes_in for node in calls) / len(times),
        p50_ms=1000 * float(np.percentile(times, 50)),
        p90_ms=1000 * float(np.percentile(times, 90)),
    )


def compare(small: Path, hybrid: Path, remote: oh.Model, rows: Rows) -> list[Result]:
    """Local only, the hybrid at each threshold, cloud only."""
    return [
        measure("local only", small, rows),
        *(measure("hybrid", hybrid, rows, threshold) for threshold in THRESHOLDS),
        measure("cloud only", remote, rows),
    ]


def choose_threshold(small: Path, remote: oh.Model, rows: Rows) -> float:
    """The lowest threshold that loses at most TOLERANCE, on rows that are in neither the training nor the test."""
    images, digits = rows
    local_labels, probabilities = oh.Session(small).run(["label", "probabilities"], {"image": images})
    (cloud_labels,) = oh.Session(remote).run(["label"], {"image": images})
    for threshold in THRESHOLDS:
        labels = np.where(probabilities.max(axis=1) >= threshold, local_labels, cloud_labels)
        if np.mean(labels == digits) >= np.mean(cloud_labels == digits) - TOLERANCE:
            return threshold
    return THRESHOLDS[-1]


def runs_in_plain_onnxruntime(hybrid: Path, rows: Rows) -> bool:
    """Whether the file gives the same labels without oh.Session: one registered library is all it needs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # ONNX Runtime warns of inputs with a default, such as our threshold
    oh.register(options)
    plain = onnxruntime.InferenceSession(hybrid, options, providers=["CPUExecutionProvider"])
    ours = oh.Session(hybrid)
    rows_of_one = [{"image": image[np.newaxis]} for image in rows[0][:20]]
    return all(plain.run(["label"], row)[0] == ours.run(["label"], row)[0] for row in rows_of_one)


# -- showing -----------------------------------------------------------------------------------------------------------


def table(results: Sequence[Result], chosen: float) -> str:
    """The results side by side."""
    lines = [f"{'':<24}{'accuracy':>10}{'rows sent':>11}{'bytes/row':>11}{'p50':>11}{'p90':>11}"]
    for result in results:
        numbers = f"{result.accuracy:>10.1%}{result.share_sent:>11.1%}{result.bytes_per_row:>11.0f}"
        times = f"{result.p50_ms:>8.2f} ms{result.p90_ms:>8.2f} ms"
        mark = "   <- chosen on the calibration rows" if result.threshold == chosen else ""
        lines.append(f"{result.label():<24}{numbers}{times}{mark}")
    return "\n".join(lines)


def summary(results: Sequence[Result], chosen: float) -> str:
    """What the chosen threshold costs and saves."""
    hybrid = next(result for result in results if result.threshold == chosen)
    return (
        f"At threshold {chosen} the hybrid sends {hybrid.share_sent:.0%} of the rows and is right on "
        f"{hybrid.accuracy:.1%}; the cloud alone is right on {results[-1].accuracy:.1%}."
    )


def plot(results: Sequence[Result], path: Path) -> None:
    """Draw accuracy against the share of rows sent."""
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    ordered = sorted(results, key=lambda result: result.share_sent)
    axes.plot([100 * r.share_sent for r in ordered], [100 * r.accuracy for r in ordered], "o-")
    for result in results:
        point = 100 * result.share_sent, 100 * result.accuracy
        text = result.name if result.threshold is None else str(result.threshold)
        axes.annotate(text, point, (6, -12), textcoords="offset points", fontsize=9)
    axes.margins(x=0.16, y=0.12)
    axes.set(xlabel="rows sent to the cloud, %", ylabel="accuracy on unseen rows, %", title="The hybrid by threshold")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def next_steps(folder: Path, url: str) -> str:
    """What a reader may do now."""
    port = url.rpartition(":")[2]
    return f"""
The artifact is one ordinary file: {folder / "hybrid.onnx"}
  look at it     https://netron.app, or: pip install netron && netron {folder / "hybrid.onnx"}
  see the plot   {folder / "accuracy.png"}
  run it again   {sys.executable} -m onnxhybrid.endpoint digits={folder / "large.onnx"} --port {port}
                 and in another terminal, in the same Python:
                   import numpy as np, onnxruntime, onnxhybrid as oh
                   options = onnxruntime.SessionOptions()
                   oh.register(options)      # other languages: register the library at oh.library_path()
                   session = onnxruntime.InferenceSession("{folder / "hybrid.onnx"}", options)
                   session.run(None, {{"image": np.zeros((1, 64), np.float32)}})
  try next       feed "threshold" at run time: 0 never calls the cloud, 1.01 always does
                 oh.parallel(edge=local, cloud=remote) to see both answers
                 python -m onnxhybrid.endpoint with your own model, or the URL of your own Triton server"""


def main() -> None:
    """Train, serve, compose, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("build/digits"), help="the folder for all files")
    parser.add_argument("--rows", type=int, default=None, help="how many of the test rows to run (default: all)")
    arguments = parser.parse_args()
    if arguments.rows is not None and arguments.rows < 1:
        parser.error("--rows has to be 1 or more")
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)

    train, calibrate, (images, digits) = split_rows()
    test = images[: arguments.rows], digits[: arguments.rows]
    print(f"training on {len(train[0])} rows, choosing a threshold on {len(calibrate[0])}, testing on {len(test[0])} …")
    small, large = train_models(train, folder)
    print(f"{small} has {small.stat().st_size:,} bytes, {large} has {large.stat().st_size:,}")

    with oh.endpoint.serve({"digits": large}) as endpoint:
        remote, hybrid = compose(small, endpoint.url)
        hybrid.save(folder / "hybrid.onnx")
        chosen = choose_threshold(small, remote, calibrate)
        results = compare(small, folder / "hybrid.onnx", remote, test)
        plain = runs_in_plain_onnxruntime(folder / "hybrid.onnx", test)

    print(f"\n{table(results, chosen)}\n\n{summary(results, chosen)}")
    print("Times are on this machine; a real network adds its round trip to each row that is sent.")
    print(f"The same file in a plain onnxruntime.InferenceSession: {'the same labels' if plain else 'OTHER LABELS'}")
    plot(results, folder / "accuracy.png")
    report = {"chosen": chosen, "plain_onnxruntime": plain, "results": [asdict(result) for result in results]}
    (folder / "result.json").write_text(json.dumps(report, indent=2))
    print(next_steps(folder, endpoint.url))


if __name__ == "__main__":
    main()
