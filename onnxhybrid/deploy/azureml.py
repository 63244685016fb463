"""`azureml`: the bundle of an AzureML online endpoint.

Source: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import string
import sys
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from onnxhybrid.deploy.examples import example
from onnxhybrid.deploy.folder import write
from onnxhybrid.deploy.script import companions, copy, read_script
from onnxhybrid.errors import ModelError
from onnxhybrid.model import Model, load
from onnxhybrid.runtime import extensions

DTYPES = frozenset(
    {"bool", "str", "float16", "float32", "float64"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}
)
"""What a scoring script can read from JSON and write to it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")
_TEMPLATES = ("env.yml", "endpoint.yml", "deployment.yml", "README.md", "register.py")
_WRITTEN = ("model", "score.py", "test-data.json", ".amlignore", *_TEMPLATES)
_GENERATED = "A remote node sends what `score.py` takes: the inputs by name, or one input as `data`."
_OWN = "`score.py` is your own. Where it takes the inputs by name, a remote node calls it like this."
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
    script: str | os.PathLike[str] | None = None,
    files: Iterable[str | os.PathLike[str]] = (),
    packages: Sequence[str] = (),
    request: Any = None,
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
        script: a scoring script of your own, put in place of the one that is written: it defines `init()` and
            `run(raw_data)`, and finds the model at `model/model.onnx` below the folder AZUREML_MODEL_DIR.
        files: files and folders that go beside the script, such as a vocabulary.
        packages: what the script imports, as pip takes it, such as "tokenizers>=0.20".
        request: the content of test-data.json; by default an example that fits the model's inputs.
        overwrite: replace the bundle that the folder holds.

    Returns:
        The folder's path.

    Raises:
        ModelError: OH410, the folder cannot be written; OH411, a name cannot be used, or an input or output has a type
            that JSON lacks; OH412, the script lacks what AzureML calls; OH413, one of the files cannot be taken; or
            what loading or saving the model raised.
    """
    whole = model if isinstance(model, Model) else load(model)
    _check_names(name, deployment, instance_type, instance_count)
    own = None if script is None else read_script(script)
    beside = companions(files, folder, _WRITTEN)
    if own is None:
        _check_types(whole)
    required = _requirements(whole, packages)
    values = {
        "name": name,
        "deployment": deployment,
        "instance_type": instance_type,
        "instance_count": str(instance_count),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "packages": "\n".join(f"      - {json.dumps(package)}" for package in required),
        "arguments": " ".join(map(shlex.quote, required)),
        "script": _GENERATED if own is None else _OWN,
        **_described(whole, request),
    }
    script_text = _generated(whole) if own is None else own

    def fill(place: Path) -> None:
        _fill(place, whole, values)
        (place / "score.py").write_text(script_text, encoding="utf-8")
        copy(beside, place)

    return write(folder, fill, overwrite=overwrite, known_by="deployment.yml")


def _check_names(name: object, deployment: object, instance_type: object, instance_count: object) -> None:
    for what, text in (("name", name), ("deployment", deployment)):
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            raise ModelError("OH411", f"{what} is 3 to 32 letters, digits and '-', and begins with a letter: {text!r}")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", str(instance_type)):
        raise ModelError("OH411", f"instance_type is a name such as Standard_DS3_v2, not {instance_type!r}")
    if not isinstance(instance_count, int) or isinstance(instance_count, bool) or instance_count < 1:
        raise ModelError("OH411", f"instance_count is an int from 1, not {instance_count!r}")


def _check_types(model: Model) -> None:
    for spec in (*model.inputs, *model.outputs):
        if spec.dtype not in DTYPES:
            raise ModelError("OH411", f"{spec} has no form in JSON; cast it, deploy to Triton, or give a script")


def _fill(place: Path, model: Model, values: dict[str, str]) -> None:
    (place / "model").mkdir()
    model.save(place / "model" / "model.onnx")
    for name in _TEMPLATES:
        text = string.Template(_template(name)).substitute(values)
        (place / name).write_text(text, encoding="utf-8")
    (place / "test-data.json").write_text(values["request"] + "\n", encoding="utf-8")
    (place / ".amlignore").write_text("model/\nREADME.md\nregister.py\n", encoding="utf-8")


def _template(name: str) -> str:
    return (resources.files("onnxhybrid.deploy") / "templates" / name).read_text(encoding="utf-8")


def _generated(model: Model) -> str:
    """The scoring script for the model, which knows how to open it."""
    return _template("score.py").replace("raise NotImplementedError", _HYBRID if _needs_session(model) else _LOCAL)


def _needs_session(model: Model) -> bool:
    """Whether `onnxruntime.InferenceSession` alone cannot open the model."""
    return bool(model.remotes) or bool(extensions.used(model))


def _requirements(model: Model, packages: Sequence[str]) -> list[str]:
    """The packages that the script needs, as pip takes them.

    Raises:
        ModelError: OH411, one of the author's is no requirement.
    """
    import numpy as np
    import onnxruntime

    from onnxhybrid import __version__

    own = packages if isinstance(packages, list | tuple) else [packages]
    for package in own:
        if not isinstance(package, str) or not re.fullmatch(r"[A-Za-z0-9][^\x00-\x1f\x7f]*", package):
            raise ModelError(
                "OH411", f"a package is named as pip takes it, such as 'tokenizers>=0.20', not {package!r}"
            )
    ours = [f"numpy=={np.__version__}", f"onnxruntime=={onnxruntime.__version__}"]
    if _needs_session(model):
        ours.append(f"onnxhybrid=={__version__}")
    if extensions.used(model):
        ours.append("onnxruntime-extensions")
    return [*ours, *own]


def _described(model: Model, request: Any) -> dict[str, str]:
    """An example request, and the call of it by a remote node.

    Raises:
        ModelError: OH411, the author's request is no JSON.
    """
    required = [spec for spec in model.inputs if not spec.optional]
    if given := request is not None:
        example_request = request
    else:
        example_request = {spec.name: example(spec) for spec in required if spec.dtype in DTYPES}
    single = len(required) == 1 and len(model.outputs) == 1 and required[0].name != "data"
    if single and not given:
        example_request = {"data": next(iter(example_request.values()), None)}
    try:
        text = json.dumps(example_request, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as problem:
        raise ModelError("OH411", f"request is what JSON can write, not {request!r}: {problem}") from None
    inputs, outputs = (
        ", ".join(f"oh.TensorSpec({spec.name!r}, {spec.dtype!r}, {spec.shape!r})" for spec in side)
        for side in (required, model.outputs)
    )
    return {"request": text, "inputs": inputs, "outputs": outputs, "form": "data" if single else "named"}
