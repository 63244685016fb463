"""The scoring URI of AzureML online endpoints: named inputs, or `{"data": …}` for models with one.

One model is at `/score`; of several the header `azureml-model-deployment` or the path `/score/<name>` says which.
Source: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onnxhybrid.endpoint.answers import json_response
from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.messages import json_object
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
    values = json_object(body)
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


def _array(spec: TensorSpec, value: Any) -> Array:
    """Nested lists as a tensor of the declared type; numbers are never rounded to integers."""
    dtype = numpy_dtype(spec.dtype)
    try:
        given = np.array(value, object) if spec.dtype == "str" else np.asarray(value)
        if given.dtype.kind in "US" and spec.dtype != "str":
            raise ValueError("texts")
        with np.errstate(over="ignore"):
            array = given.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(f"input {quoted(spec.name)} is no nested list of {spec.dtype}") from None
    if given.dtype.kind == "f" and dtype.kind in "iub":
        raise RequestError(f"input {quoted(spec.name)} is {spec.dtype}, and the request holds fractions")
    if spec.dtype != "str" and not _held(given, array):
        raise RequestError(f"input {quoted(spec.name)} is {spec.dtype}, which cannot hold all that the request does")
    if spec.dtype == "str" and not all(isinstance(text, str) for text in array.reshape(-1)):
        raise RequestError(f"input {quoted(spec.name)} is no nested list of texts")
    return array


def _held(given: Array, array: Array) -> bool:
    """Whether the conversion made no number another: integers are the same, what is finite has stayed so."""
    if array.dtype.kind in "iub":
        return bool((array == given).all())
    return bool(np.isfinite(array.astype(np.float64)).all())


def _listed(array: Array) -> Any:
    """A tensor as nested lists; JSON has no NaN and no infinity."""
    if array.dtype.kind == "O":
        return array.tolist()
    if array.dtype.kind not in "iub" and not np.isfinite(array.astype(np.float64)).all():
        raise RequestError("the model's output holds NaN or infinity, which JSON cannot", 500)
    return array.astype(np.float64).tolist() if array.dtype.kind == "V" else array.tolist()
