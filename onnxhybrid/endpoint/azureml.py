"""The scoring URI of AzureML online endpoints: named inputs, or `{"data": …}` for models with one.

One model is at `/score`; of several the header `azureml-model-deployment` or the path `/score/<name>` says which.
Source: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Executor
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onnxhybrid.endpoint.answers import text_response
from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.json_text import json_members, json_nested
from onnxhybrid.endpoint.memory import Hold, hold_of
from onnxhybrid.endpoint.metrics import asks
from onnxhybrid.endpoint.served import ServedModel
from onnxhybrid.endpoint.tensors import BY_DTYPE, Array, TensorHeader, converted
from onnxhybrid.endpoint.weight import weigh
from onnxhybrid.model import TensorSpec
from onnxhybrid.model.dtypes import numpy_dtype

DEPLOYMENT = "azureml-model-deployment"


def routes(models: Mapping[str, ServedModel], threads: Executor) -> list[Route]:
    """The scoring routes for `models`, which run on `threads`."""

    async def score(request: Request) -> Response:
        model, body = asks(request, _find(models, request)), await request.body()
        return await asyncio.get_running_loop().run_in_executor(threads, _score, model, body, hold_of(request))

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


def _score(model: ServedModel, body: bytes, hold: Hold) -> Response:
    values = _object(body, hold)
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
        outputs = {"result": next(iter(outputs.values()))}
    return text_response(
        json_members({}, ((name, [json_nested(each, _listed, hold)]) for name, each in outputs.items()))
    )


_TAKEN: dict[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "O": frozenset({str}),
}
"""Which elements become which kind of numpy; nothing is rounded to a number. All others take both kinds of number."""

_NUMBERS: frozenset[type] = frozenset({int, float})
_HIGHEST_RANK = 64


def _array(spec: TensorSpec, value: Any) -> Array:
    """Nested lists as a tensor of the declared type."""
    shape, elements = _nested(spec, value)
    kinds, dtype = set(map(type, elements)), numpy_dtype(spec.dtype)
    if dtype.kind in "iu" and float in kinds:
        raise RequestError(f"input {quoted(spec.name)} is {spec.dtype}, and the request holds fractions")
    if not kinds <= _TAKEN.get(dtype.kind, _NUMBERS):
        raise RequestError(f"input {quoted(spec.name)} is no nested list of {spec.dtype}")
    return converted(TensorHeader(spec.name, BY_DTYPE[spec.dtype], shape), elements).reshape(shape)


def _nested(spec: TensorSpec, value: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of nested lists, and their elements in row-major order.

    Never by numpy itself: of texts of different lengths it would make an array in which each is as wide as the longest.

    Raises:
        RequestError: lists of one depth have different lengths, or stand beside elements.
    """
    shape: list[int] = []
    elements = [value]
    while kinds := {type(element) is list for element in elements}:
        if kinds == {False}:
            return tuple(shape), elements
        lengths = set() if len(kinds) > 1 else set(map(len, elements))
        if len(lengths) != 1 or len(shape) == _HIGHEST_RANK:
            raise RequestError(f"input {quoted(spec.name)} is no nested list of {spec.dtype}")
        shape += lengths
        elements = list(chain.from_iterable(elements))
    return tuple(shape), []


def _listed(array: Array) -> Any:
    """A tensor as nested lists; JSON has no NaN and no infinity."""
    if array.dtype.kind == "O":
        return array.tolist()
    if array.dtype.kind not in "iub" and not np.isfinite(array.astype(np.float64)).all():
        raise RequestError("the model's output holds NaN or infinity, which JSON cannot", 500)
    return array.astype(np.float64).tolist() if array.dtype.kind == "V" else array.tolist()


def _object(body: bytes, hold: Hold) -> dict[str, Any]:
    weigh(body, hold)
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise RequestError(f"the body is no JSON: {problem}") from None
    if not isinstance(value, dict):
        raise RequestError('the body is no JSON object, such as {"data": [[1, 2]]}')
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
