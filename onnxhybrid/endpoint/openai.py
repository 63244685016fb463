"""The routes of the OpenAI API that a model can stand behind, and the same as Azure OpenAI has them.

Which operation a model serves is what it takes and gives: `uint8` -> `str` transcribes, `str` -> `str` chats and
responds, `str` -> `float32` embeds. Source: https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import numpy as np
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from onnxhybrid.endpoint.answers import error_response, json_response, text_response
from onnxhybrid.endpoint.failure import RequestError, quoted
from onnxhybrid.endpoint.json_text import json_list, json_members
from onnxhybrid.endpoint.memory import hold_of
from onnxhybrid.endpoint.messages import Json, json_object
from onnxhybrid.endpoint.metrics import asks
from onnxhybrid.endpoint.served import ServedModel
from onnxhybrid.endpoint.tensors import Array
from onnxhybrid.model.dtypes import numpy_dtype

Options = Mapping[str, str]  # option -> dtype
Handler = Callable[[Request], Awaitable[Response]]

_BASES = ("/v1", "/openai/v1", "/openai/deployments/{model}")
_PLAIN = ("text", "srt", "vtt")
_MOST_FIELDS = 100
_ROWS = 64
_ESCAPED = 12
"""Bytes that a character takes at most while it becomes JSON."""


def routes(models: Mapping[str, ServedModel], threads: Executor) -> list[Route]:
    """The API's routes for `models`, which run on `threads`."""

    async def listed(_: Request) -> Response:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "onnxhybrid"} for name in models]
        return json_response({"object": "list", "data": data})

    async def audio(request: Request) -> Response:
        fields = await _form(request)
        return await _on(threads, _transcription, models, request, fields)

    async def chat(request: Request) -> Response:
        return await _on(threads, _completion, models, request, await _json(threads, request))

    async def responses(request: Request) -> Response:
        return await _on(threads, _response, models, request, await _json(threads, request))

    async def embeddings(request: Request) -> Response:
        return await _on(threads, _embeddings, models, request, await _json(threads, request))

    operations: dict[str, Handler] = {
        "/audio/transcriptions": audio,
        "/audio/translations": audio,
        "/chat/completions": chat,
        "/embeddings": embeddings,
    }
    paths = {base + path: answer for base in _BASES for path, answer in operations.items()}
    paths.update({f"{base}/responses": responses for base in _BASES[:2]})
    return [Route("/v1/models", listed)] + [
        Route(path, _in_its_form(answer), methods=["POST"]) for path, answer in paths.items()
    ]


async def _on(threads: Executor, work: Callable[..., Response], *arguments: Any) -> Response:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)


async def _json(threads: Executor, request: Request) -> Json:
    body, hold = await request.body(), hold_of(request)
    return await asyncio.get_running_loop().run_in_executor(threads, json_object, body, hold)


def _in_its_form(answer: Handler) -> Handler:
    """The handler, with refusals in the form that the API gives them."""

    @functools.wraps(answer)
    async def handled(request: Request) -> Response:
        try:
            return await answer(request)
        except RequestError as problem:
            return error_response(problem.message, problem.status, path=request.scope["path"])

    return handled


def _transcription(models: Mapping[str, ServedModel], request: Request, fields: Json) -> Response:
    file = fields.pop("file", None)
    if not isinstance(file, bytes):
        raise RequestError("the field 'file' is missing, or no file")
    _check_whole(fields)
    wanted = fields.pop("response_format", "json")
    model = _find(models, request, fields)
    name = _only(model, "uint8", "str", "transcribe", _AUDIO)
    text = str(_run(model, {name: np.frombuffer(file, np.uint8)}, fields, _AUDIO).reshape(-1)[0])
    hold_of(request)(_ESCAPED * len(text))
    if wanted in _PLAIN:
        return PlainTextResponse(text)
    if wanted not in ("json", "verbose_json"):
        raise RequestError(f"response_format {quoted(wanted)} is none of json, text, srt, verbose_json, vtt")
    more = {"task": "transcribe", "language": "", "duration": 0.0, "segments": []} if wanted == "verbose_json" else {}
    return json_response({**more, "text": text})


def _check_whole(fields: Json) -> None:
    """An answer is one, and comes at once."""
    if fields.get("stream") not in (None, False, "", "false"):
        raise RequestError("streams are not served: leave stream out")
    if fields.get("n") not in (None, 1):
        raise RequestError("one choice is served: leave n out")


def _completion(models: Mapping[str, ServedModel], request: Request, body: Json) -> Response:
    model = _find(models, request, body)
    name = _only(model, "str", "str", "chat", _CHAT)
    _check_whole(body)
    text = _reply(model, name, _messages(body.get("messages")), body)
    hold_of(request)(_ESCAPED * len(text))
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    head = {"id": "chatcmpl-onnxhybrid", "object": "chat.completion", "created": int(time.time()), "model": model.name}
    return json_response({**head, "choices": [choice], "usage": usage})


def _response(models: Mapping[str, ServedModel], request: Request, body: Json) -> Response:
    model = _find(models, request, body)
    name = _only(model, "str", "str", "respond", _CHAT)
    _check_whole(body)
    for kept in ("previous_response_id", "conversation", "background"):
        if body.get(kept):
            raise RequestError(f"no response is kept: leave {kept} out")
    given, instructions = body.get("input"), body.get("instructions")
    said = [("user", given)] if isinstance(given, str) else _messages(given, "input")
    if instructions is not None and not isinstance(instructions, str):
        raise RequestError("instructions is a string")
    text = _reply(model, name, [("system", instructions), *said] if instructions else said, body)
    hold_of(request)(_ESCAPED * len(text))
    content = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": "msg_onnxhybrid", "type": "message", "status": "completed", "role": "assistant"}
    return json_response(
        {
            "id": "resp_onnxhybrid",
            "object": "response",
            "created_at": int(time.time()),
            "status": "completed",
            "model": model.name,
            "output": [{**message, "content": [content]}],
            **_UNUSED,
        }
    )


_UNUSED: Json = {
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": False,
    "tool_choice": "none",
    "tools": [],
    "temperature": None,
    "top_p": None,
    "usage": {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    },
}
"""What every response has, and no model here has anything to say about."""


def _reply(model: ServedModel, name: str, said: list[tuple[str, str]], body: Json) -> str:
    """What the model says to the last of the user's messages, told what those of the system say."""
    prompt = next((text for role, text in reversed(said) if role == "user"), None)
    if prompt is None:
        raise RequestError("there is no message of the role 'user'")
    told = "\n".join(text for role, text in said if role in ("system", "developer"))
    limit = next((body[limit] for limit in _LIMITS if body.get(limit) is not None), None)
    fields = {**body, **(dict.fromkeys(_LIMITS, limit)), **(dict.fromkeys(_TOLD, told) if told else {})}
    return str(_run(model, {name: _texts([prompt], model, name)}, fields, _CHAT).reshape(-1)[0])


def _embeddings(models: Mapping[str, ServedModel], request: Request, body: Json) -> Response:
    model = _find(models, request, body)
    name = _only(model, "str", "float32", "embed", {})
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError("input is a string or a list of strings; tokens are not taken")
    vectors = _run(model, {name: _texts(texts, model, name)}, body, {}).reshape(len(texts), -1)
    wanted = body.get("dimensions")
    if wanted is not None and wanted != vectors.shape[1]:
        raise RequestError(f"the model gives {vectors.shape[1]} dimensions, not {quoted(wanted)}")
    encoded = body.get("encoding_format") == "base64"
    data = (
        {"object": "embedding", "index": index, "embedding": _base64(row) if encoded else row.tolist()}
        for index, row in enumerate(vectors)
    )
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    rows = json_list(data, hold_of(request), _ROWS)
    return text_response(json_members({"object": "list", "model": model.name, "usage": usage}, [("data", [rows])]))


def _find(models: Mapping[str, ServedModel], request: Request, fields: Json) -> ServedModel:
    """The model that the path (Azure's form) or the field `model` names."""
    name = request.path_params.get("model", fields.get("model"))
    if not isinstance(name, str):
        raise RequestError("you must provide a model parameter")
    if name not in models:
        raise RequestError(f"The model {quoted(name)} does not exist", 404)
    return asks(request, models[name])


def _only(model: ServedModel, taken: str, given: str, what: str, options: Options) -> str:
    """The input of a model that does such a thing: the one of its type, and not an option."""
    outputs = [spec.dtype for spec in model.outputs.values()]
    inputs = [spec.name for spec in model.inputs.values() if spec.dtype == taken and spec.name not in options]
    if len(inputs) != 1 or not outputs or outputs[0] != given:
        raise RequestError(f"The model '{model.name}' does not {what}: it has to take {taken} and give {given}", 404)
    return inputs[0]


_AUDIO: Options = {"language": "str", "prompt": "str", "temperature": "float32"}
_TOLD = ("system", "instructions")
"""What the inputs of a model may be called that takes what the system says."""

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""What the limit of an answer is called, by the API and by the inputs of a model."""

_CHAT: Options = {"temperature": "float32", **dict.fromkeys(_TOLD, "str"), **dict.fromkeys(_LIMITS, "int64")}


def _run(model: ServedModel, feeds: dict[str, Array], fields: Json, options: Options) -> Array:
    """The first output for these feeds and the options that the model takes."""
    for name, dtype in options.items():
        if name in model.inputs and name not in feeds and fields.get(name) is not None:
            feeds[name] = _option(name, dtype, fields[name])
    model.check_feeds(feeds)
    first = next(iter(model.outputs))
    return model.run([first], feeds)[first]


def _option(name: str, dtype: str, value: object) -> Array:
    if isinstance(value, list | dict):  # of which numpy would make something, and perhaps something large
        raise RequestError(f"{name} is {quoted(type(value).__name__)}, no {dtype}")
    try:
        return np.array([value], numpy_dtype(dtype))
    except (TypeError, ValueError, OverflowError):
        raise RequestError(f"{name} is {quoted(value)}, no {dtype}") from None


def _texts(texts: list[str], model: ServedModel, name: str) -> Array:
    """Texts as a tensor of the rank that the model declares: [n], or [n, 1] and the like."""
    shape = model.inputs[name].shape
    return np.array(texts, object).reshape((len(texts),) + (1,) * (len(shape) - 1 if shape else 0))


def _messages(messages: object, field: str = "messages") -> list[tuple[str, str]]:
    """(role, text) of each message."""
    if not isinstance(messages, list):
        raise RequestError(f"{field} is a list of messages{', or a string' if field == 'input' else ''}")
    return [_message(message) for message in messages]


def _message(message: object) -> tuple[str, str]:
    if isinstance(message, dict) and isinstance(message.get("role"), str):
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
        if all(isinstance(text, str) for text in texts):
            return message["role"], "".join(map(str, texts))
    raise RequestError("a message has a role and a content of text")


async def _form(request: Request) -> Json:
    """The fields of a form; that of a file is its bytes."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RequestError("audio comes in a form: multipart/form-data with a field 'file'")
    hold_of(request)(2 * len(await request.body()))  # the parts, and the file in one piece
    fields: Json = {}
    try:
        async with request.form(max_files=1, max_fields=_MOST_FIELDS) as form:
            for name, value in form.multi_items():
                fields[name] = await value.read() if isinstance(value, UploadFile) else value
    except ValueError as problem:  # of python-multipart, from releases of Starlette that let it through
        raise RequestError(f"the form is malformed: {problem}") from None
    return fields


def _base64(row: Array) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()
