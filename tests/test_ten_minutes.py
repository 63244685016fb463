"""The page for beginners, followed from top to bottom: its models are made, its recipe and its commands are run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import onnxhybrid as oh
from onnxhybrid import recipe
from onnxhybrid.recipe.marked import marked
from tests.command import typed

PAGE = (Path(__file__).parent.parent / "docs" / "ten-minutes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each command of the page wrote, by its words; the folder is the current one meanwhile."""
    folder, written = tmp_path_factory.mktemp("ten"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        first, *_ = [code for kind, code in BLOCKS if kind == "python"]
        exec(compile(first, "ten-minutes.md", "exec"), {})
        (text,) = [code for kind, code in BLOCKS if kind == "yaml"]
        Path("hybrid.yaml").write_text(text, encoding="utf-8")
        with oh.endpoint.serve({"faults": "cloud.onnx"}) as server:
            patch.setenv("ONNXHYBRID_ENDPOINT_CLOUD", server.url)  # a free port in place of the page's
            for line in [line[2:] for kind, code in BLOCKS if kind == "console" for line in code.splitlines()]:
                program, *words = shlex.split(line)
                ended = typed(*words)
                assert (program, ended.code, ended.err) == ("onnxhybrid", 0, ""), line
                written[line] = ended.out
        yield written


def command(written: dict[str, str], verb: str) -> str:
    """What the first command with this verb wrote."""
    return next(out for line, out in written.items() if line.split()[1] == verb)


def test_the_recipe_is_one_by_the_schema() -> None:
    (text,) = [code for kind, code in BLOCKS if kind == "yaml"]
    jsonschema.Draft202012Validator(recipe.schema()).validate(marked(text, "the page").data)


def test_every_step_ends_well_and_says_something(followed: dict[str, str]) -> None:
    assert {"inspect", "compose", "validate", "calibrate", "run", "bench", "deploy"} == {x.split()[1] for x in followed}
    assert all(followed.values())


def test_the_promise_holds_and_the_file_carries_it(followed: dict[str, str]) -> None:
    assert "the promise holds: a loss of at most 0.01 with confidence 0.95, proven on 4000 rows" in command(
        followed, "calibrate"
    )
    certificate = json.loads(oh.load("calibrated.onnx").metadata["onnxhybrid.certificate"])
    assert certificate["loss_high"] <= 0.01
    assert Path("curve.svg").stat().st_size > 1000


def test_most_rows_that_are_sent_are_worth_it(followed: dict[str, str]) -> None:
    chosen = next(line for line in command(followed, "calibrate").splitlines() if "<- chosen" in line)
    share, accuracy = (float(number) for number in re.findall(r"([\d.]+)%", chosen)[:2])
    assert share < 70
    assert accuracy > 93


def test_what_leaves_the_device_is_told(followed: dict[str, str]) -> None:
    shown = [out for line, out in followed.items() if line == "onnxhybrid inspect calibrated.onnx"]
    assert "what is sent depends on" in shown[0]


def test_the_deployed_folders_are_those_of_triton_and_azureml(followed: dict[str, str]) -> None:
    assert Path("models/faults/config.pbtxt").is_file()
    assert {"score.py", "env.yml", "deployment.yml"} <= {path.name for path in Path("bundle").iterdir()}


def test_the_same_in_python_gives_the_same_promise(followed: dict[str, str], capsys: Any) -> None:
    *_, last = [code for kind, code in BLOCKS if kind == "python"]
    exec(compile(last, "ten-minutes.md", "exec"), {})
    assert "the promise holds: a loss of at most 0.01" in capsys.readouterr().out
