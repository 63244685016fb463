"""The page of clusters: what it gives to Spark and Daft runs there, where they are installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxhybrid as oh
from tests.recipes import models

PAGE = Path(__file__).parent.parent / "docs" / "ray.md"


@pytest.fixture
def models_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the file that the page names."""
    monkeypatch.chdir(tmp_path)
    models(tmp_path)


def defined(place: int) -> dict[str, Any]:
    """What the section's code of this place defines."""
    code = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[place]
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


def images() -> Any:
    return np.random.default_rng(5).random((6, 64), np.float32)


def test_the_function_for_spark_gives_each_frames_labels(models_there: None) -> None:
    pd = pytest.importorskip("pandas", reason="the function takes pandas' frames")
    x = images()
    frames = [pd.DataFrame({"id": range(at, at + 3), "image": list(x[at : at + 3])}) for at in (0, 3)]
    found = pd.concat(defined(0)["labels"](iter(frames)))
    assert found["label"].tolist() == oh.Session("small.onnx").run(["label"], {"image": x})[0].tolist()
    assert found["id"].tolist() == list(range(6))


def test_spark_runs_it(models_there: None) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed")
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    x = images()
    frame = spark.createDataFrame([(at, row.tolist()) for at, row in enumerate(x)], "id long, image array<float>")
    found = sorted(frame.mapInPandas(defined(0)["labels"], schema="id long, label long").collect())
    spark.stop()
    assert [row.label for row in found] == oh.Session("small.onnx").run(["label"], {"image": x})[0].tolist()


def test_daft_runs_it(models_there: None) -> None:
    daft = pytest.importorskip("daft", reason="Daft is not installed")
    x = images()
    frame = daft.from_pydict({"image": [row.tolist() for row in x]})
    found = frame.with_column("label", defined(1)["Labels"]().label(frame["image"])).to_pydict()
    assert found["label"] == oh.Session("small.onnx").run(["label"], {"image": x})[0].tolist()
