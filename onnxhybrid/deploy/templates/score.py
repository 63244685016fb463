"""The scoring script of the model beside it: `init` is called once, `run` for each request.

A request is {"data": …} for a model with one input and one output, answered by {"result": …}, or an object with the
inputs by name, answered by the outputs by name. What cannot be answered gives {"error": …}: with status 400 where the
request is at fault, and 500 where the model failed.
"""

import json
import logging
import os

import numpy as np

try:
    from azureml_inference_server_http.api.aml_response import AMLResponse
except ImportError:  # `run` is called by hand, where no server is installed: there is no status
    AMLResponse = None

MODEL = "model.onnx"
LOG = logging.getLogger(__name__)


def init():
    """Open the session. AZUREML_MODEL_DIR is where AzureML puts the registered model."""
    global session, inputs, outputs
    session = _session(_model_path())
    inputs = {argument.name: argument for argument in session.get_inputs()}
    optional = {argument.name: argument for argument in session.get_overridable_initializers()}
    inputs = {**optional, **inputs}
    outputs = [argument.name for argument in session.get_outputs()]


def run(raw_data):
    """Answer one request, a JSON text."""
    try:
        request = json.loads(raw_data)
        if not isinstance(request, dict):
            raise ValueError('the request is no JSON object, such as {"data": [[1, 2]]}')
        is_data = set(request) == {"data"} and "data" not in inputs
        feeds = _feeds(_named(request["data"]) if is_data else request)
    except (ValueError, RecursionError) as problem:
        return _refused(400, problem)
    try:
        answer = {name: _listed(name, array) for name, array in zip(outputs, session.run(outputs, feeds))}
    except Exception as problem:  # the caller gets every failure as JSON
        LOG.exception("the model failed")
        return _refused(500, problem)
    return {"result": answer[outputs[0]]} if is_data else answer


def _refused(status, problem):
    answer = {"error": str(problem)}
    return answer if AMLResponse is None else AMLResponse(answer, status, json_str=True)


def _named(data):
    required = _required()
    if len(required) != 1 or len(outputs) != 1:
        raise ValueError(f'{{"data": …}} is for one input and one output; send {sorted(inputs)} by name')
    return {required[0]: data}


def _feeds(request):
    unknown, missing = sorted(set(request) - set(inputs)), sorted(set(_required()) - set(request))
    if unknown or missing:
        raise ValueError(f"the inputs are {sorted(inputs)}; unknown: {unknown}, missing: {missing}")
    return {name: _array(inputs[name], value) for name, value in request.items()}


def _required():
    return [argument.name for argument in session.get_inputs()]


_TAKEN = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "O": "O"}  # what may become what; nothing is rounded to a number
_DTYPES = {"float": "float32", "double": "float64", "string": "object"}


def _array(argument, value):
    """Nested lists as a tensor of the input's type."""
    element = argument.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype(_DTYPES.get(element, element))
    try:
        given = np.array(value, dtype=object if dtype.kind == "O" else None)
        if dtype.kind == "O" and not all(isinstance(text, str) for text in given.reshape(-1)):
            raise ValueError("not all are texts")
        if given.size and given.dtype.kind not in _TAKEN[dtype.kind]:
            raise ValueError(f"they are {given.dtype}")
        array = _exact(given, dtype) if given.size else np.zeros(_empty(given, argument.shape), dtype)
        return _fitted(array, argument.shape)
    except (ValueError, TypeError, OverflowError) as problem:
        raise ValueError(f"{argument.name} is no nested list of {element}: {problem}") from None


def _fitted(array, declared):
    """The array, if it has the sizes that the input declares; one that declares none takes any."""
    fixed = [size if isinstance(size, int) else None for size in declared]
    if fixed and (
        len(fixed) != array.ndim or any(size not in (None, given) for size, given in zip(fixed, array.shape))
    ):
        raise ValueError(f"its shape is {list(array.shape)}, and the input's {declared}")
    return array


def _exact(given, dtype):
    with np.errstate(over="ignore"):
        array = given.astype(dtype)
    if dtype.kind in "iu" and not (array == given).all():
        raise ValueError("not all of them fit")
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("not all of them are finite")
    return array


def _empty(given, declared):
    """The shape of a tensor without elements, whose sizes behind the empty one JSON does not show."""
    shape = [size if isinstance(size, int) else 0 for size in declared]
    return shape if len(shape) > given.ndim and 0 in shape[: given.ndim] else given.shape


def _listed(name, array):
    array = np.asarray(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"the output {name} holds NaN or infinity, which JSON cannot")
    return array.tolist()


def _model_path():
    """The model in AZUREML_MODEL_DIR, at whatever depth, or beside this script."""
    folder = os.getenv("AZUREML_MODEL_DIR")
    for place, _, files in os.walk(folder) if folder else ():
        if MODEL in files:
            return os.path.join(place, MODEL)
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "model", MODEL)


def _session(path):
    """Open the model as it has to be opened."""
    raise NotImplementedError
