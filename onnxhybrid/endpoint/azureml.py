"""The scoring URI of AzureML online endpoints: named inputs, or `{"data": …}` for models with one.

One model is at `/score`; of several the header `azureml-model-deployment` or the path `/score/<name>` says which.
Source: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any, NoReturn

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onnxhybrid.endpoint.answers import json_response
from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.served import ServedModel
from onnxhybrid.endpoint.tensors import Array
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import numpy_dtype

DEPLOYMENT = "azureml-model-deployment"


def routes(models: Mapping[str, ServedModel], threads: Executor) -> list[Route]:
    """The scoring routes for `models`, which run on `threads`."""

    async def score(request: Request) -> Response:
        model, body = _find(models, request), await request.body()
        return await asyncio.get_running_loop().run_in_executor(threads, _score, model, body)

    return [Route(path, score, methods=["POST"]) for path in ("/score", "/score/{model}")]


def _find(models: Mapping[str, ServedModel], request: Request) -> ServedModel:
    name = request.path_params.get("model") or request.headers.get(DEPLOYMENT)
    if name is None and len(models) == 1:
        name = next(iter(models))
    if name is None:
        raise RequestError(f"the endpoint has several models: name one in the header {DEPLOYMENT}", 404)
    if name not in models:
        raise RequestError(f"there is no deployment {quoted(name)}", 404)
    return models[name]


def _score(model: ServedModel, body: bytes) -> Response:
    values = _object(body)
    as_data = set(values) == {"data"} and "data" not in model.inputs
    if as_data:
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise RequestError(f'{{"data": …}} is for models with one input and one output; send {list(model.inputs)}')
        values = {next(iter(model.inputs)): values["data"]}
    if unknown := sorted(set(values) - set(model.inputs)):
        raise RequestError(f"unexpected input {quoted(unknown[0])}; the model takes {', '.join(model.inputs)}")
    feeds = {name: _array(model.inputs[name], value) for name, value in values.items()}
    model.check_feeds(feeds)
    outputs = model.run((), feeds)
    if as_data:
        return json_response({"result": _listed(next(iter(outputs.values())))})
    return json_response({name: _listed(array) for name, array in outputs.items()})


_TAKEN = {"b": "b", "i": "iu", "u": "iu"}
"""Which kinds of numpy become which; nothing is rounded to a number, and nothing wraps around."""


def _array(spec: TensorSpec, value: Any) -> Array:
    """Nested lists as a tensor of the declared type."""
    dtype = numpy_dtype(spec.dtype)
    try:
        given = np.array(value, object) if spec.dtype == "str" else np.asarray(value)
    except (ValueError, OverflowError):
        raise RequestError(f"input {quoted(spec.name)} is no nested list of {spec.dtype}") from None
    if spec.dtype == "str":
        return _texts(spec, given)
    if given.dtype.kind == "f" and given.size and dtype.kind in "iu":
        raise RequestError(f"input {quoted(spec.name)} is {spec.dtype}, and the request holds fractions")
    if given.dtype.kind not in _TAKEN.get(dtype.kind, "iuf") and given.size:
        raise RequestError(f"input {quoted(spec.name)} is no nested list of {spec.dtype}")
    return _fitted(spec, given, dtype)


def _texts(spec: TensorSpec, given: Array) -> Array:
    if not all(isinstance(text, str) for text in given.reshape(-1)):
        raise RequestError(f"input {quoted(spec.name)} is no nested list of texts")
    try:
        "".join(given.reshape(-1)).encode()
    except UnicodeEncodeError:
        raise RequestError(f"input {quoted(spec.name)} holds a lone surrogate, which UTF-8 cannot carry") from None
    return given


def _fitted(spec: TensorSpec, given: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        array = given.astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = not given.size or (limits.min <= int(given.min()) and int(given.max()) <= limits.max)
    else:
        fits = bool(np.isfinite(array.astype(np.float64)).all())
    if not fits:
        raise RequestError(f"input {quoted(spec.name)} is {spec.dtype}, which cannot hold all that the request does")
    return array


def _listed(array: Array) -> Any:
    """A tensor as nested lists; JSON has no NaN and no infinity."""
    if array.dtype.kind == "O":
        return array.tolist()
    if array.dtype.kind not in "iub" and not np.isfinite(array.astype(np.float64)).all():
        raise RequestError("the model's output holds NaN or infinity, which JSON cannot", 500)
    return array.astype(np.float64).tolist() if array.dtype.kind == "V" else array.tolist()


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise RequestError(f"the body is no JSON: {problem}") from None
    if not isinstance(value, dict):
        raise RequestError('the body is no JSON object, such as {"data": [[1, 2]]}')
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
