"""The calls of docs/servers.md, to servers that take, refuse and answer what their documents say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

import onnxhybrid as oh
from tests.documented import PAGE, built, code, text
from tests.servers import documented_openai as openai
from tests.servers import documented_tensors as tensors
from tests.servers.documented import VECTOR, StandIn, serving

WRONG = "wrong-0123456789abcdef"
PROMPT, TEXT = {"prompt": np.array(["hi"], object)}, {"text": np.array(["a", "b"], object)}
FILE = {"file": np.frombuffer(b"RIFF", np.uint8)}
PERSONS = {"age": np.array([19.0, 33.0]), "sex": np.array([1.0, 0.0])}


@dataclass(frozen=True)
class Call:
    """A model of the page, who answers it, and what comes of it.

    It is refused in these words with a wrong key; where `edit` is given, with the right key and code that is changed.
    """

    section: str
    variable: str
    server: StandIn
    feeds: dict[str, Any]
    value: Any
    words: str
    edit: tuple[str, str] | None = None


CALLS = (
    Call(
        "KServe",
        "flowers",
        tensors.KSERVE,
        {"input-0": np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]], np.float32)},
        [1, 1],
        "Model with name absent does not exist",
        ('"sklearn-iris"', '"absent"'),
    ),
    Call("KServe", "poem", openai.KSERVE_LLM, PROMPT, ["A poem"], "404", ("qwen-llm.", "another.")),
    Call(
        "OpenVINO Model Server",
        "resnet",
        tensors.OVMS_TENSORS,
        {"0": np.zeros((1, 224, 224, 3), np.float32)},
        [list(range(1000))],
        "Model with requested name is not found",
        ('"resnet"', '"absent"'),
    ),
    Call(
        "OpenVINO Model Server",
        "photos",
        tensors.OVMS_TENSORS,
        {"0": np.frombuffer(tensors.JPEG, np.uint8)},
        [list(range(1000))],
        "Model with requested name is not found",
        ('"resnet"', '"absent"'),
    ),
    Call(
        "OpenVINO Model Server",
        "llama",
        openai.OVMS,
        PROMPT,
        ["\n\nHow can I help you?"],
        "invalid or missing api-key",
    ),
    Call("OpenVINO Model Server", "gte", openai.OVMS, TEXT, [VECTOR] * 2, "invalid or missing api-key"),
    Call("OpenVINO Model Server", "spoken", openai.OVMS, FILE, ["A text"], "invalid or missing api-key"),
    Call("vLLM", "llama", openai.VLLM, PROMPT, ["Hello!"], "Unauthorized"),
    Call(
        "vLLM",
        "llama",
        openai.VLLM,
        PROMPT,
        ["Hello!"],
        "`absent` does not exist",
        ("NousResearch/Meta-Llama-3-8B-Instruct", "absent"),
    ),
    Call("vLLM", "spoken", openai.VLLM, FILE, [" Mary had a little lamb"], "Unauthorized"),
    Call("vLLM", "vectors", openai.VLLM, TEXT, [VECTOR] * 2, "Unauthorized"),
    Call("llama.cpp", "chat", openai.LLAMA_CPP, PROMPT, ["An exception"], "Invalid API Key"),
    Call("llama.cpp", "answers", openai.LLAMA_CPP, PROMPT, ["A limerick"], "Invalid API Key"),
    Call("llama.cpp", "vectors", openai.LLAMA_CPP, TEXT, [VECTOR] * 2, "Invalid API Key"),
    Call("Ollama", "chat", openai.OLLAMA, PROMPT, ["This is a test."], "'absent' not found", ("gpt-oss:20b", "absent")),
    Call("Ollama", "poem", openai.OLLAMA, PROMPT, ["The sky is blue"], "'absent' not found", ("qwen3:8b", "absent")),
    Call("Ollama", "vectors", openai.OLLAMA, TEXT, [VECTOR] * 2, "404 page not found", ("11434/v1", "11434")),
    Call("text-embeddings-inference", "vectors", openai.TEI, TEXT, [VECTOR] * 2, "401"),
    Call(
        "text-embeddings-inference",
        "vectors",
        openai.TEI,
        {"text": np.array(["a"] * 33, object)},
        [VECTOR] * 33,
        "batch size 33 > maximum allowed batch size 32",
        (", batch=32", ""),
    ),
    Call(
        "NIM", "chat", openai.NIM, PROMPT, ["Hi"], "`absent` does not exist", ("meta/llama-3.1-8b-instruct", "absent")
    ),
    Call(
        "NIM",
        "queries",
        openai.NIM,
        TEXT,
        [VECTOR] * 2,
        "'input_type' parameter is required",
        ('extra={"input_type": "query"},', ""),
    ),
    Call("LiteLLM", "chat", openai.LITELLM, PROMPT, ["Hello from the gateway"], "Invalid proxy server token"),
    Call("LiteLLM", "behind", openai.LITELLM, PROMPT, ["Hello from the gateway"], "Invalid proxy server token"),
    Call("OpenAI", "chat", openai.OPENAI, PROMPT, ["Hello! How can I assist you today?"], "Incorrect API key"),
    Call(
        "OpenAI", "answers", openai.OPENAI, PROMPT, ["In a peaceful grove beneath a silver moon"], "Incorrect API key"
    ),
    Call("OpenAI", "vectors", openai.OPENAI, TEXT, [VECTOR] * 2, "Incorrect API key"),
    Call("OpenAI", "spoken", openai.OPENAI, FILE, ["Imagine the wildest idea"], "Incorrect API key"),
    Call("Azure OpenAI", "chat", openai.AZURE_OPENAI, PROMPT, ["Yes"], "invalid subscription key or wrong"),
    Call(
        "Azure OpenAI",
        "chat",
        openai.AZURE_OPENAI,
        PROMPT,
        ["Yes"],
        "deployment for this resource does not exist",
        ("gpt-4o", "absent"),
    ),
    Call("Azure OpenAI", "spoken", openai.AZURE_OPENAI, FILE, ["A text"], "invalid subscription key or wrong"),
    Call(
        "Azure AI Foundry",
        "chat",
        openai.FOUNDRY,
        PROMPT,
        ["Yes"],
        "deployment for this resource does not exist",
        ("gpt-4.1-nano", "absent"),
    ),
    Call("Azure AI Foundry", "chat", openai.FOUNDRY, PROMPT, ["Yes"], "invalid subscription key or wrong"),
    Call("Azure AI Foundry", "answers", openai.FOUNDRY, PROMPT, ["Hello!"], "invalid subscription key or wrong"),
    Call(
        "AzureML, MLflow without a script",
        "premium",
        tensors.AZUREML_MLFLOW,
        PERSONS,
        [1, 0],
        "'input_data' key",
        ("input_data_split", "dataframe_split"),
    ),
    Call(
        "AzureML, MLflow without a script",
        "premium",
        tensors.AZUREML_MLFLOW,
        PERSONS,
        [1, 0],
        "key_auth_access_denied",
    ),
    Call(
        "AzureML, Triton",
        "densenet",
        tensors.AZUREML_TRITON,
        {"data_0": np.zeros((1, 3, 224, 224), np.float32)},
        [np.linspace(0, 1, 1000, dtype=np.float32).tolist()],
        "key_auth_access_denied",
    ),
    Call(
        "AzureML, Triton",
        "densenet",
        tensors.AZUREML_TRITON,
        {"data_0": np.zeros((1, 3, 224, 224), np.float32)},
        [np.linspace(0, 1, 1000, dtype=np.float32).tolist()],
        "404",
        ('"blue"', '"green"'),
    ),
    Call("API Management", "chat", openai.API_MANAGEMENT, PROMPT, ["Yes"], "invalid subscription key"),
)


def anchor(heading: str) -> str:
    """What a link to a section says, as GitHub has it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def title(call: Call) -> str:
    return f"{call.section}: {call.variable}, {call.words}"


def answered(call: Call, python: str, key: str) -> Any:
    """What comes of the model that this code builds, moved to the stand-in."""
    with serving(call.server) as server:
        model = built(python, call.variable, server.url)
        secret = oh.Secret(key, hosts=[urlsplit(server.url).netloc])
        names = (name for remote in model.remotes for name in remote.credentials)
        session = oh.Session(model, credentials=dict.fromkeys(names, secret))
        return session.run(None, call.feeds)[0].tolist()


@pytest.mark.parametrize("call", CALLS, ids=title)
def test_the_call_of_the_page_is_answered_as_the_server_documents(call: Call) -> None:
    assert answered(call, code(call.section), openai.KEY) == call.value


@pytest.mark.parametrize("call", CALLS, ids=title)
def test_a_refusal_is_told_in_the_words_that_the_server_documents(call: Call) -> None:
    python, key = code(call.section), WRONG
    if call.edit is not None:
        assert call.edit[0] in python
        python, key = python.replace(*call.edit), openai.KEY
    with pytest.raises(oh.RemoteStatusError) as caught:
        answered(call, python, key)
    assert call.words in str(caught.value)


def test_every_row_of_the_table_has_a_section_whose_call_is_tested_and_a_document() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| [")]
    sections = set(re.findall(r"^## (.*)$", page, re.MULTILINE))
    assert {row[0].split("](#")[1].rstrip(")") for row in rows} == {anchor(title) for title in sections}
    assert [row[0] for row in rows if "](https://" not in row[-1]] == []
    real = {title for title in sections if "test_the_call_of_the_page_is_answered" in text(title)}
    assert sections == real | {call.section for call in CALLS}


def test_every_model_of_the_page_is_called() -> None:
    called = {(call.section, call.variable) for call in CALLS}
    for title in {call.section for call in CALLS}:
        built_here = re.findall(r"^(\w+) = oh\.remote\.", code(title), re.MULTILINE)
        assert [name for name in built_here if (title, name) not in called] == [], title
