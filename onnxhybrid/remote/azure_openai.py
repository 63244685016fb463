"""Remote models of Azure OpenAI: the OpenAI API at a deployment's path, with an `api-key`.

Source: https://learn.microsoft.com/azure/ai-services/openai/reference.
"""

from __future__ import annotations

from typing import Any

from onnxhybrid.model.model import Model
from onnxhybrid.remote import openai
from onnxhybrid.remote.openai import Integer, Number, Service, Text
from onnxhybrid.remote.options import text


def azure_openai_audio(
    resource_url: str,
    deployment: Text,
    *,
    api_version: str,
    audio_format: Text = "wav",
    response_format: Text = "json",
    language: Text | None = None,
    prompt: Text | None = None,
    temperature: Number | None = None,
    translate: bool = False,
    **common: Any,
) -> Model:
    """Speech to text on Azure OpenAI: `oh.remote.openai_audio` at a deployment.

    Args:
        resource_url: the resource's URL, `https://name.openai.azure.com`.
        deployment: the deployment's name.
        api_version: the version of the API, such as `2024-10-21`.
        audio_format, response_format, language, prompt, temperature, translate: as for `oh.remote.openai_audio`.
        **common: as there, with auth `oh.Credential("azure_openai")` by default.

    Raises:
        ModelError: OH301, OH303 or OH304, an argument is wrong.
    """
    given = {
        "model": deployment,
        "audio_format": audio_format,
        "response_format": response_format,
        "language": language,
        "prompt": prompt,
        "temperature": temperature,
    }
    return openai.audio(_service(resource_url, api_version), given, translate, common)


def azure_openai_chat(
    resource_url: str,
    deployment: Text,
    *,
    api_version: str,
    system: Text | None = None,
    temperature: Number | None = None,
    max_tokens: Integer | None = None,
    max_completion_tokens: Integer | None = None,
    raw: bool = False,
    **common: Any,
) -> Model:
    """Chat completions on Azure OpenAI: `oh.remote.openai_chat` at a deployment.

    Args:
        resource_url: the resource's URL, `https://name.openai.azure.com`.
        deployment: the deployment's name.
        api_version: the version of the API, such as `2024-10-21`.
        system, temperature, max_tokens, max_completion_tokens, raw: as for `oh.remote.openai_chat`.
        **common: as there, with auth `oh.Credential("azure_openai")` by default.

    Raises:
        ModelError: OH301, OH303 or OH304, an argument is wrong.
    """
    given = {
        "model": deployment,
        "system": system,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "max_completion_tokens": max_completion_tokens,
    }
    return openai.chat(_service(resource_url, api_version), given, raw, common)


def azure_openai_embeddings(
    resource_url: str,
    deployment: Text,
    *,
    api_version: str,
    dimensions: Integer | None = None,
    encoding_format: Text | None = "base64",
    **common: Any,
) -> Model:
    """Embeddings on Azure OpenAI: `oh.remote.openai_embeddings` at a deployment.

    Args:
        resource_url: the resource's URL, `https://name.openai.azure.com`.
        deployment: the deployment's name.
        api_version: the version of the API, such as `2024-10-21`.
        dimensions, encoding_format: as for `oh.remote.openai_embeddings`.
        **common: as there, with auth `oh.Credential("azure_openai")` by default.

    Raises:
        ModelError: OH301, OH303 or OH304, an argument is wrong.
    """
    given = {"model": deployment, "dimensions": dimensions, "encoding_format": encoding_format}
    return openai.embeddings(_service(resource_url, api_version), given, common)


def _service(resource_url: str, api_version: str) -> Service:
    return Service("azure_openai", resource_url, text("api_version", api_version))
