"""Who signed a model: the recipe of docs/threat-model.md, with OpenSSF's model signing in an environment of its own."""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh
from tests import environments

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.attack

SIGN = textwrap.dedent(
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    import model_signing

    key = ec.generate_private_key(ec.SECP256R1())
    secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    open("signer.key", "wb").write(key.private_bytes(serialization.Encoding.PEM, *secret))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    open("signer.pub", "wb").write(key.public_key().public_bytes(serialization.Encoding.PEM, public))
    model_signing.signing.Config().use_elliptic_key_signer(private_key="signer.key").sign("model", "model.sig")
    """
)


def recipe() -> str:
    """The part of the page's example that looks at the signature."""
    page = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    (block,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)  # the others are run by tests/test_docs.py
    return "\n".join(line for line in block.splitlines() if "oh." not in line and "onnxhybrid" not in line)


def ran(python: Path, code: str, folder: Path) -> str:
    """What it said where it failed; empty otherwise."""
    done = subprocess.run([python, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def python() -> Path:
    return environments.environment(ROOT / ".signing", "signing")


@pytest.fixture
def signed(tmp_path: Path, python: Path) -> Path:
    """A folder with a signed model, its data beside it."""
    (tmp_path / "model").mkdir()
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    oh.Model.from_proto(proto).save(tmp_path / "model" / "small.onnx", external_data=True)
    assert ran(python, SIGN, tmp_path) == ""
    return tmp_path


def test_a_model_is_loaded_as_it_was_signed(signed: Path, python: Path) -> None:
    assert ran(python, recipe(), signed) == ""
    assert oh.load(signed / "model" / "small.onnx").inputs[0].name == "x"


def _graph(folder: Path) -> None:
    proto = onnx.load(folder / "small.onnx", load_external_data=False)
    proto.graph.node[0].op_type = "Gemm"
    (folder / "small.onnx").write_bytes(proto.SerializeToString())


def _data(folder: Path) -> None:
    (path,) = (path for path in folder.iterdir() if path.suffix != ".onnx")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")


def _missing(folder: Path) -> None:
    next(path for path in folder.iterdir() if path.suffix != ".onnx").unlink()


def _more(folder: Path) -> None:
    (folder / "more.bin").write_bytes(b"x")


@pytest.mark.parametrize(
    "change",
    [_graph, _data, _more, _missing],
    ids=["graph", "data", "another file", "a file that is missing"],
)
def test_what_was_changed_is_refused(signed: Path, python: Path, change: Callable[[Path], object]) -> None:
    change(signed / "model")
    assert "ValueError" in ran(python, recipe(), signed)


def test_the_key_of_somebody_else_is_refused(signed: Path, python: Path) -> None:
    public = (signed / "signer.pub").read_bytes()
    (signed / "model.sig").rename(signed / "first.sig")
    assert ran(python, SIGN, signed) == ""  # by another key
    (signed / "signer.pub").write_bytes(public)
    assert ran(python, recipe(), signed) != ""
