"""`azureml`: the bundle of an AzureML online endpoint.

Source: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints.
"""

from __future__ import annotations

import json
import os
import re
import string
import sys
from importlib.resources import files
from pathlib import Path

from onnxhybrid.deploy.examples import example
from onnxhybrid.deploy.folder import write
from onnxhybrid.errors import ModelError
from onnxhybrid.model import Model, load

DTYPES = frozenset(
    {"bool", "str", "float16", "float32", "float64"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}
)
"""What a scoring script can read from JSON and write to it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")
_TEMPLATES = ("env.yml", "endpoint.yml", "deployment.yml", "README.md", "register.py")
_LOCAL = 'import onnxruntime\n\n    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])'
_HYBRID = "import onnxhybrid\n\n    return onnxhybrid.Session(path)"


def azureml(
    model: Model | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    name: str,
    deployment: str = "blue",
    instance_type: str = "Standard_DS3_v2",
    instance_count: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write all that an AzureML online endpoint needs to serve a model.

    The folder holds `model/model.onnx`, `score.py` with `init()` and `run(raw_data)`, `env.yml`, `endpoint.yml`,
    `deployment.yml`, `test-data.json`, `register.py` and a README with the commands. A request is `{"data": …}` for
    a model with one input and one output, or an object with the inputs by name; `oh.remote.azureml` calls both forms.

    Args:
        model: a Model or the path of an .onnx file. One with remote nodes runs in `oh.Session`, with the credentials
            of the deployment's environment.
        folder: where to write; it is there whole, or as it was before.
        name: the endpoint's and the model's name: 3 to 32 letters, digits and `-`.
        deployment: the deployment's name, of the same form.
        instance_type, instance_count: the machines that serve it.
        overwrite: replace what the folder holds.

    Returns:
        The folder's path.

    Raises:
        ModelError: OH410, the folder cannot be written; OH411, a name cannot be used, or an input or output has a type
            that JSON lacks; or what loading or saving the model raised.
    """
    whole = model if isinstance(model, Model) else load(model)
    for what, text in (("name", name), ("deployment", deployment)):
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            raise ModelError("OH411", f"{what} is 3 to 32 letters, digits and '-', and begins with a letter: {text!r}")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", str(instance_type)):
        raise ModelError("OH411", f"instance_type is a name such as Standard_DS3_v2, not {instance_type!r}")
    if not isinstance(instance_count, int) or isinstance(instance_count, bool) or instance_count < 1:
        raise ModelError("OH411", f"instance_count is an int from 1, not {instance_count!r}")
    for spec in (*whole.inputs, *whole.outputs):
        if spec.dtype not in DTYPES:
            raise ModelError("OH411", f"{spec} has no form in JSON; cast it, or deploy to Triton")
    values = {
        "name": name,
        "deployment": deployment,
        "instance_type": instance_type,
        "instance_count": str(instance_count),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        **_runtime(whole),
        **_described(whole),
    }
    return write(folder, lambda place: _fill(place, whole, values), overwrite=overwrite)


def _fill(place: Path, model: Model, values: dict[str, str]) -> None:
    templates = files("onnxhybrid.deploy") / "templates"
    (place / "model").mkdir()
    model.save(place / "model" / "model.onnx")
    for name in _TEMPLATES:
        text = (templates / name).read_text(encoding="utf-8")
        (place / name).write_text(string.Template(text).substitute(values), encoding="utf-8")
    script = (
        (templates / "score.py").read_text(encoding="utf-8").replace("raise NotImplementedError", values["session"])
    )
    (place / "score.py").write_text(script, encoding="utf-8")
    (place / "test-data.json").write_text(values["request"] + "\n", encoding="utf-8")
    (place / ".amlignore").write_text("model/\nREADME.md\nregister.py\n", encoding="utf-8")


def _runtime(model: Model) -> dict[str, str]:
    """What the script opens the model with, and the packages that it needs for that."""
    import numpy as np
    import onnxruntime

    packages = [f"numpy=={np.__version__}", f"onnxruntime=={onnxruntime.__version__}"]
    if not model.remotes:
        return {"session": _LOCAL, "packages": _yaml(packages)}
    import onnxhybrid

    return {"session": _HYBRID, "packages": _yaml([*packages, f"onnxhybrid=={onnxhybrid.__version__}"])}


def _yaml(packages: list[str]) -> str:
    return "\n".join(f"      - {package}" for package in packages)


def _described(model: Model) -> dict[str, str]:
    """An example request, and the call of it by a remote node."""
    request = {spec.name: example(spec) for spec in model.inputs if not spec.optional}
    if len(request) == 1 and len(model.outputs) == 1 and "data" not in request:
        request = {"data": next(iter(request.values()))}
    specs = [
        ", ".join(f"oh.TensorSpec({spec.name!r}, {spec.dtype!r}, {spec.shape!r})" for spec in side)
        for side in ([spec for spec in model.inputs if not spec.optional], model.outputs)
    ]
    return {
        "request": json.dumps(request),
        "inputs": specs[0],
        "outputs": specs[1],
        "form": "data" if "data" in request else "named",
    }
