"""What overwriting a model leaves as it was: permissions, links, and data that something else still needs."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnxhybrid as oh
from tests.strategies import dense

X = np.ones((1, 64), np.float32)


def _dense(seed: int) -> oh.Model:
    return dense("d", "x", "y", (64, 64), seed=seed)


def _answer(model: oh.Model | Path) -> bytes:
    session = oh.Session(model) if isinstance(model, oh.Model) else onnxruntime.InferenceSession(model)
    answer: bytes = session.run(None, {"x": X})[0].tobytes()
    return answer


def _modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
@pytest.mark.parametrize("external", [True, False])
def test_what_is_overwritten_keeps_its_permissions_and_new_data_gets_them(
    tmp_path: Path, mode: int, external: bool
) -> None:
    path = tmp_path / "m.onnx"
    _dense(1).save(path, external_data=external)
    for file in tmp_path.iterdir():
        file.chmod(mode)
    _dense(2).save(path, external_data=True)
    assert _modes(tmp_path) == {mode}


def test_a_symbolic_link_stays_one_and_what_it_names_is_replaced_with_its_data(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    real, link = tmp_path / "store" / "real.onnx", tmp_path / "link.onnx"
    _dense(1).save(real, external_data=True)
    link.symlink_to("store/real.onnx")
    _dense(2).save(link, external_data=True)
    assert link.is_symlink()
    assert _answer(oh.load(link)) == _answer(oh.load(real)) == _answer(real) == _answer(_dense(2))
    assert len(list(real.parent.iterdir())) == 2
    _dense(3).save(link, external_data=False)
    assert _answer(link) == _answer(real) == _answer(_dense(3))
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["link.onnx", "real.onnx", "store"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(path.name), lambda path: path.mkdir()])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, make: object) -> None:
    path = tmp_path / "m.onnx"
    make(path)  # type: ignore[operator]
    before = path.lstat()
    with pytest.raises(oh.ModelError, match="OH112"):
        _dense(1).save(path)
    assert path.lstat().st_ino == before.st_ino
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["backup.onnx", "m.onnx.bak", "copy"])
def test_data_that_another_graph_in_the_folder_names_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.onnx"
    _dense(1).save(path, external_data=True)
    wanted = _answer(path)
    shutil.copy(path, tmp_path / name)
    _dense(2).save(path, external_data=True)
    assert _answer(tmp_path / name) == wanted


def test_a_loaded_model_keeps_its_weights_until_it_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    _dense(1).save(path, external_data=True)
    wanted = _answer(path)
    models = [oh.load(path), oh.load(path).rename({"y": "z"})]
    _dense(2).save(path, external_data=True)
    for model in models:
        assert _answer(model) == wanted
    models[0].save(tmp_path / "again", external_data=False)
    assert _answer(tmp_path / "again") == wanted
    del model, models
    assert len(list(tmp_path.glob("*.data"))) == 1


def test_a_process_that_was_forked_takes_no_data_away_at_its_end(tmp_path: Path) -> None:
    program = f"""
        import os, onnxhybrid as oh
        from pathlib import Path
        from tests.strategies import dense
        path = Path({str(tmp_path / "m.onnx")!r})
        dense("d", "x", "y", (64, 64), seed=1).save(path, external_data=True)
        model = oh.load(path)
        dense("d", "x", "y", (64, 64), seed=2).save(path, external_data=True)
        if not (child := os.fork()):
            del model
            os._exit(0)
        os.waitpid(child, 0)
        model.to_proto()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True)
