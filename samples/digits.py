"""A small digit classifier on the device, a large one in the cloud, and one ONNX file that uses both.

    python samples/digits.py

It trains both on real data (scikit-learn's handwritten digits), serves the large one over HTTP on this machine, and
composes a hybrid: run row by row, the small model answers where it is sure, and only the other rows travel. How sure is
sure enough is chosen by `oh.calibrate`, on rows that trained neither model; rows that nothing has seen show what it is
worth.
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
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import onnxhybrid as oh

SEED = 0
LOSS = 0.01
"""How many of the answers may be lost: kept on the device, wrong, and right in the cloud. One in a hundred."""
PRICE = 0.001
"""What a request to the cloud is taken to cost, in dollars."""

Array = npt.NDArray[Any]
Rows = tuple[Array, Array]
"""Images as float32 of shape [n, 64], and their digits as int64 of shape [n]."""


@dataclass
class Result:
    """What one way of running the test rows gave."""

    name: str
    accuracy: float
    share_sent: float
    bytes_per_row: float
    cost_per_row: float
    p50_ms: float
    p90_ms: float


# -- the two models, as any project would have them -------------------------------------------------------------------


def split_rows() -> tuple[Rows, Rows, Rows]:
    """A third of the rows to train on, a third to choose the threshold on, a third that only the final table sees."""
    images, digits = load_digits(return_X_y=True)
    seen, test = _parted((images.astype(np.float32), digits), 1 / 3)
    train, calibration = _parted(seen, 1 / 2)
    return train, calibration, test


def _parted(rows: Rows, share: float) -> tuple[Rows, Rows]:
    """The rows without a share of them, and that share, with as many of each digit in both."""
    images, others, digits, other_digits = train_test_split(*rows, test_size=share, stratify=rows[1], random_state=SEED)
    return (images, digits), (others, other_digits)


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


def calibrate(hybrid: oh.Model, rows: Rows) -> oh.Calibration:
    """The hybrid with the threshold that sends least of all that lose so few answers, which is proven on these rows."""
    images, digits = rows
    return oh.calibrate(hybrid, images, digits, output="label", loss=LOSS, cost=PRICE)


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(name: str, model: oh.Model | Path, rows: Rows) -> Result:
    """Run a model one row at a time, as a device does."""
    session = oh.Session(model, policy=oh.Policy(budget={"price": {"digits": PRICE}}))
    right, times = 0, []
    for image, digit in zip(*rows, strict=True):
        started = time.perf_counter()
        (label,) = session.run(["label"], {"image": image[np.newaxis]})
        times.append(time.perf_counter() - started)
        right += int(label[0] == digit)
    calls = session.stats().values()
    return Result(
        name=name,
        accuracy=right / len(times),
        share_sent=sum(node.calls for node in calls) / len(times),
        bytes_per_row=sum(node.bytes_out + node.bytes_in for node in calls) / len(times),
        cost_per_row=sum(node.spent for node in calls) / len(times),
        p50_ms=1000 * float(np.percentile(times, 50)),
        p90_ms=1000 * float(np.percentile(times, 90)),
    )


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


def table(results: Sequence[Result]) -> str:
    """The results side by side."""
    lines = [f"{'':<12}{'accuracy':>10}{'rows sent':>11}{'bytes/row':>11}{'$/1000 rows':>13}{'p50':>11}{'p90':>11}"]
    for result in results:
        numbers = f"{result.accuracy:>10.1%}{result.share_sent:>11.1%}{result.bytes_per_row:>11.0f}"
        numbers += f"{1000 * result.cost_per_row:>13.2f}"
        lines.append(f"{result.name:<12}{numbers}{result.p50_ms:>8.2f} ms{result.p90_ms:>8.2f} ms")
    return "\n".join(lines)


def summary(hybrid: Result, cloud: Result) -> str:
    """What the hybrid costs and saves."""
    return (
        f"On rows that nothing has seen the hybrid sends {hybrid.share_sent:.0%} and is right on "
        f"{hybrid.accuracy:.1%}; the cloud alone is right on {cloud.accuracy:.1%}.\n"
        f"At ${PRICE} a request it costs ${1000 * hybrid.cost_per_row:.2f} for 1000 rows in place of "
        f"${1000 * cloud.cost_per_row:.2f}, and {hybrid.bytes_per_row:.0f} bytes a row in place of "
        f"{cloud.bytes_per_row:.0f}."
    )


def next_steps(folder: Path, picture: Path, url: str) -> str:
    """What a reader may do now."""
    port = url.rpartition(":")[2]
    return f"""
The artifact is one ordinary file: {folder / "hybrid.onnx"}
  look at it     https://netron.app, or: pip install netron && netron {folder / "hybrid.onnx"}
  see the plot   {picture}
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


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("build/digits"), help="the folder for all files")
    parser.add_argument("--picture", type=Path, help="where the plot goes (default: accuracy.png in that folder)")
    parser.add_argument("--rows", type=int, default=None, help="how many of the test rows to run (default: all)")
    given = parser.parse_args()
    if given.rows is not None and given.rows < 1:
        parser.error("--rows has to be 1 or more")
    return given


def main() -> None:
    """Train, serve, compose, calibrate, measure, show."""
    given = arguments()
    folder: Path = given.output
    folder.mkdir(parents=True, exist_ok=True)
    picture = given.picture or folder / "accuracy.png"

    train, calibration, (images, digits) = split_rows()
    test = images[: given.rows], digits[: given.rows]
    print(
        f"{len(train[0])} rows train, {len(calibration[0])} others choose the threshold, {len(test[0])} others test …"
    )
    small, large = train_models(train, folder)
    np.savez(folder / "calibration.npz", image=calibration[0], label=calibration[1])
    print(f"{small} has {small.stat().st_size:,} bytes, {large} has {large.stat().st_size:,}")

    with oh.endpoint.serve({"digits": large}) as endpoint:
        remote, hybrid = compose(small, endpoint.url)
        found = calibrate(hybrid, calibration)
        found.model.save(folder / "hybrid.onnx")
        models: dict[str, oh.Model | Path] = {
            "local only": small,
            "hybrid": folder / "hybrid.onnx",
            "cloud only": remote,
        }
        results = [measure(name, model, test) for name, model in models.items()]
        plain = runs_in_plain_onnxruntime(folder / "hybrid.onnx", test)

    print(f"\n{found}\n\n{table(results)}\n\n{summary(*results[1:])}")
    print("Times are on this machine; a real network adds its round trip to each row that is sent.")
    print(f"The same file in a plain onnxruntime.InferenceSession: {'the same labels' if plain else 'OTHER LABELS'}")
    found.plot(picture)
    report = {"plain_onnxruntime": plain, "results": [asdict(result) for result in results]}
    (folder / "result.json").write_text(json.dumps({"calibration": json.loads(found.to_json()), **report}, indent=2))
    print(next_steps(folder, picture, endpoint.url))


if __name__ == "__main__":
    main()
