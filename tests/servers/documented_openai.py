"""Stand-ins for servers of the OpenAI API, as their documents have them; the bodies are those of the documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.servers.documented import Answering, Reply, StandIn, embedded, form_of, with_header
from tests.servers.heard import Heard

KEY = "key-0123456789abcdef"
_BEARER = with_header("authorization", f"Bearer {KEY}")
_NOT_FOUND = Reply(404, {"detail": "Not Found"})


def _error(status: int, message: str, **more: Any) -> Reply:
    return Reply(status, {"error": {"message": message, **more}})


def _said(text: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {"id": "chatcmpl-123", "object": "chat.completion", "created": 1716825108, "choices": [choice], **more}


def _responded(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"id": "msg_682f", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return {"id": "resp_682f", "object": "response", "status": "completed", "error": None, "output": [message]}


def _for(model: str, reply: Reply, unknown: Callable[[str], Reply]) -> Answering:
    """The reply to a JSON request that names the model, and what is made of another name."""

    def respond(asked: Heard) -> Reply:
        name = json.loads(asked.body)["model"]
        return reply if name == model else unknown(name)

    return respond


# https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html, vllm/entrypoints/openai/server_utils.py (401)
# and speech_to_text/protocol.py: whichever format of the two is asked for, a transcript is `TranscriptionResponse`.
def _vllm_transcript(asked: Heard) -> Reply:
    form = form_of(asked)
    if form["response_format"] not in (b"json", b"text") or form["model"] != b"openai/whisper-large-v3":
        return _error(400, "1 validation error", type="Bad Request", param=None, code=400)
    return Reply(200, {"text": " Mary had a little lamb", "usage": {"type": "duration", "seconds": 9}})


def _vllm_unknown(name: str) -> Reply:
    return _error(404, f"The model `{name}` does not exist.", type="NotFoundError", param="model", code=404)


def _vllm_chat(asked: Heard) -> Reply:
    if not isinstance(json.loads(asked.body).get("top_k"), int):
        return _error(400, "1 validation error", type="Bad Request", param=None, code=400)
    return _for("NousResearch/Meta-Llama-3-8B-Instruct", Reply(200, _said("Hello!")), _vllm_unknown)(asked)


VLLM = StandIn(
    {
        "POST /v1/chat/completions": _vllm_chat,
        "POST /v1/audio/transcriptions": _vllm_transcript,
        "POST /v1/embeddings": embedded,
    },
    missing=_NOT_FOUND,
    admits=_BEARER,
    refusal=Reply(401, {"error": "Unauthorized"}),
)

# https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
LLAMA_CPP = StandIn(
    {
        "POST /v1/chat/completions": lambda _: Reply(200, _said("An exception", usage={"completion_tokens": 48})),
        "POST /v1/responses": lambda _: Reply(200, _responded("A limerick")),
        "POST /v1/embeddings": embedded,
    },
    missing=_error(404, "File Not Found", code=404, type="not_found_error"),
    admits=_BEARER,
    refusal=_error(401, "Invalid API Key", code=401, type="authentication_error"),
)


# https://docs.ollama.com/api/openai-compatibility and openai/openai.go, NewError
def _ollama_unknown(name: str) -> Reply:
    return _error(404, f"model '{name}' not found", type="not_found_error", param=None, code=None)


OLLAMA = StandIn(
    {
        "POST /v1/chat/completions": _for("gpt-oss:20b", Reply(200, _said("This is a test.")), _ollama_unknown),
        "POST /v1/responses": _for("qwen3:8b", Reply(200, _responded("The sky is blue")), _ollama_unknown),
        "POST /v1/embeddings": embedded,
    },
    missing=Reply(404, b"404 page not found", kind="text/plain"),
)


# https://huggingface.co/docs/text-embeddings-inference/quick_tour, its openapi.json, cli_arguments and router/src/http.
def _tei(asked: Heard) -> Reply:
    count = len(json.loads(asked.body)["input"])
    if count > 32:
        message = f"batch size {count} > maximum allowed batch size 32"
        return Reply(422, {"message": message, "code": 422, "type": "Validation"})
    return embedded(asked, model="thenlper/gte-base")


TEI = StandIn({"POST /v1/embeddings": _tei}, missing=Reply(404, b""), admits=_BEARER)


# https://docs.nvidia.com/nim/nemo-retriever/text-embedding/1.7.0/reference.html, whose refusal is the one that
# https://github.com/CherryHQ/cherry-studio/issues/16818 reports; chats are vLLM's, as
# https://docs.nvidia.com/nim/large-language-models/latest/reference/api-reference.html says.
def _nim(asked: Heard) -> Reply:
    if json.loads(asked.body).get("input_type") not in ("query", "passage"):
        return Reply(400, {"error": "'input_type' parameter is required for asymmetric models"})
    return embedded(asked)


NIM = StandIn(
    {
        "POST /v1/chat/completions": _for("meta/llama-3.1-8b-instruct", Reply(200, _said("Hi")), _vllm_unknown),
        "POST /v1/embeddings": _nim,
    },
    missing=_NOT_FOUND,
)

# https://docs.litellm.ai/docs/proxy/api_key_auth, and `custom_litellm_api_key` of litellm/proxy/_types.py. The refusal
# is reported by https://github.com/monarch-initiative/ontogpt/issues/516.
LITELLM = StandIn(
    {"POST /v1/chat/completions": lambda _: Reply(200, _said("Hello from the gateway", model="gpt-4o"))},
    missing=_NOT_FOUND,
    admits=lambda asked: _BEARER(asked) or asked.headers.get("x-litellm-api-key") == KEY,
    refusal=_error(
        401,
        "Authentication Error, Invalid proxy server token passed. key=3990ab5a, not found in db.",
        type="token_not_found_in_db",
        param="key",
        code="401",
    ),
)

# https://platform.openai.com/docs/api-reference and https://platform.openai.com/docs/guides/error-codes
OPENAI = StandIn(
    {
        "POST /v1/chat/completions": lambda _: Reply(200, _said("Hello! How can I assist you today?")),
        "POST /v1/responses": lambda _: Reply(200, _responded("In a peaceful grove beneath a silver moon")),
        "POST /v1/embeddings": embedded,
        "POST /v1/audio/transcriptions": lambda _: Reply(200, {"text": "Imagine the wildest idea"}),
    },
    missing=_error(404, "Invalid URL (POST /v1)", type="invalid_request_error", param=None, code=None),
    admits=_BEARER,
    refusal=_error(
        401,
        "Incorrect API key provided: key-0***. You can find your API key at https://platform.openai.com/account/api-keys.",
        type="invalid_request_error",
        param=None,
        code="invalid_api_key",
    ),
)

# https://learn.microsoft.com/azure/ai-foundry/openai/reference and …/api-version-lifecycle. The refusals are those that
# https://github.com/microsoft/semantic-kernel/issues/10337 and https://github.com/chatboxai/chatbox/issues/646 report.
_DENIED = "Access denied due to invalid subscription key or wrong API endpoint."
_UNDEPLOYED = _error(404, "The API deployment for this resource does not exist.", code="DeploymentNotFound")
_DEPLOYMENTS = "POST /openai/deployments"
AZURE_OPENAI = StandIn(
    {
        f"{_DEPLOYMENTS}/gpt-4o/chat/completions?api-version=2024-10-21": lambda _: Reply(200, _said("Yes")),
        f"{_DEPLOYMENTS}/whisper/audio/transcriptions?api-version=2024-10-21": lambda _: Reply(200, {"text": "A text"}),
    },
    missing=_UNDEPLOYED,
    admits=with_header("api-key", KEY),
    refusal=_error(401, _DENIED, code="401"),
)
FOUNDRY = StandIn(
    {
        "POST /openai/v1/chat/completions": _for("gpt-4.1-nano", Reply(200, _said("Yes")), lambda _: _UNDEPLOYED),
        "POST /openai/v1/responses": _for("gpt-4.1-nano", Reply(200, _responded("Hello!")), lambda _: _UNDEPLOYED),
    },
    missing=_error(404, "Resource not found", code="404"),
    admits=with_header("api-key", KEY),
    refusal=_error(401, _DENIED, code="401"),
)

# https://learn.microsoft.com/azure/api-management/api-management-subscriptions; the refusal is that of
# https://github.com/MicrosoftDocs/SupportArticles-docs, azure/api-mgmt/availability/unauthorized-errors-invoke-apis.md.
API_MANAGEMENT = StandIn(
    {
        "POST /SUFFIX/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21": lambda _: Reply(
            200, _said("Yes")
        )
    },
    missing=Reply(404, {"statusCode": 404, "message": "Resource not found"}),
    admits=with_header("ocp-apim-subscription-key", KEY),
    refusal=Reply(401, {"statusCode": 401, "message": "Access denied due to invalid subscription key."}),
)


# https://docs.openvino.ai/2026/model-server/ovms_docs_rest_api_chat.html, …_embeddings.html, ovms_docs_security.html;
# the refusals are those of src/status.cpp, with the statuses of src/http_server.cpp.
def _ovms_transcript(asked: Heard) -> Reply:
    form = form_of(asked)
    return Reply(200, {"text": "A text"}) if {"model", "file"} <= form.keys() else _OVMS_UNKNOWN


_OVMS_UNKNOWN = Reply(404, {"error": "Mediapipe graph definition with requested name is not found"})
OVMS = StandIn(
    {
        "POST /v3/chat/completions": _for(
            "llama3", Reply(200, _said("\n\nHow can I help you?")), lambda _: _OVMS_UNKNOWN
        ),
        "POST /v3/embeddings": embedded,
        "POST /v3/audio/transcriptions": _ovms_transcript,
    },
    missing=Reply(404, {"error": "Invalid request URL"}),
    admits=_BEARER,
    refusal=Reply(500, {"error": "Unauthorized request due to invalid or missing api-key"}),
)

# https://kserve.github.io/website/docs/getting-started/genai-first-isvc; Istio's gateway knows a service by its host.
KSERVE_LLM = StandIn(
    {"POST /openai/v1/chat/completions": lambda _: Reply(200, _said("A poem", model="qwen"))},
    missing=_NOT_FOUND,
    admits=lambda asked: asked.host == "qwen-llm.kserve-test.example.com",
    refusal=Reply(404, b"", more="server: istio-envoy\r\n"),
)
