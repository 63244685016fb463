"""Remote models of Azure OpenAI: the OpenAI API at a deployment's path or under `/openai/v1`, with a key or a token.

Source: https://learn.microsoft.com/azure/ai-services/openai/reference, and of `v1`
https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle.
"""

from __future__ import annotations

from typing import Any

from onnxhybrid.model.model import Model
from onnxhybrid.remote import openai
from onnxhybrid.remote.groups import Fields
from onnxhybrid.remote.invoke import builder
from onnxhybrid.remote.named_endpoint import Endpoint
from onnxhybrid.remote.openai import Integer, Number, Service, Text
from onnxhybrid.remote.options import text


@builder
def azure_openai_audio(
    resource_url: str | Endpoint,
    deployment: Text,
    *,
    api_version: str,
    audio_format: Text = "wav",
    response_format: Text = "json",
    language: Text | None = None,
    prompt: Text | None = None,
    temperature: Number | None = None,
    translate: bool = False,
    extra: Fields | None = None,
    **common: Any,
) -> Model:
    """Speech to text on Azure OpenAI: `oh.remote.openai_audio` at a deployment.

    Args:
        resource_url: the resource's URL, `https://name.openai.azure.com`; or an `oh.Endpoint`.
        deployment: the deployment's name.
        api_version: the version of the API, such as `2024-10-21`; `v1` for the paths under `/openai/v1`, where the
            deployment is the model that the body names.
        audio_format, response_format, language, prompt, temperature, translate, extra: as for
            `oh.remote.openai_audio`.
        **common: as there, with auth `oh.Credential("azure_openai")` by default, a key; a token of Entra ID is
            `oh.Credential("azure_openai", scheme="bearer")`.

    Raises:
        ModelError: OH301, OH303, OH304, OH322, OH323 or OH325, an argument is wrong.
    """
    given = {
        "model": deployment,
        "audio_format": audio_format,
        "response_format": response_format,
        "language": language,
        "prompt": prompt,
        "temperature": temperature,
    }
    return openai.audio(_service(resource_url, api_version, extra), given, translate, common)


@builder
def azure_openai_chat(
    resource_url: str | Endpoint,
    deployment: Text,
    *,
    api_version: str,
    system: Text | None = None,
    temperature: Number | None = None,
    max_tokens: Integer | None = None,
    max_completion_tokens: Integer | None = None,
    raw: bool = False,
    extra: Fields | None = None,
    **common: Any,
) -> Model:
    """Chat completions on Azure OpenAI: `oh.remote.openai_chat` at a deployment.

    Args:
        resource_url: the resource's URL, `https://name.openai.azure.com`; or an `oh.Endpoint`.
        deployment: the deployment's name.
        api_version: the version of the API, such as `2024-10-21`; `v1` for the paths under `/openai/v1`, where the
            deployment is the model that the body names.
        system, temperature, max_tokens, max_completion_tokens, raw, extra: as for `oh.remote.openai_chat`.
        **common: as there, with auth `oh.Credential("azure_openai")` by default, a key; a token of Entra ID is
            `oh.Credential("azure_openai", scheme="bearer")`.

    Raises:
        ModelError: OH301, OH303, OH304, OH322, OH323 or OH325, an argument is wrong.
    """
    given = {
        "model": deployment,
        "system": system,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "max_completion_tokens": max_completion_tokens,
    }
    return openai.chat(_service(resource_url, api_version, extra), given, raw, common)


@builder
def azure_openai_embeddings(
    resource_url: str | Endpoint,
    deployment: Text,
    *,
    api_version: str,
    dimensions: Integer | None = None,
    encoding_format: Text | None = "base64",
    extra: Fields | None = None,
    **common: Any,
) -> Model:
    """Embeddings on Azure OpenAI: `oh.remote.openai_embeddings` at a deployment.

    Args:
        resource_url: the resource's URL, `https://name.openai.azure.com`; or an `oh.Endpoint`.
        deployment: the deployment's name.
        api_version: the version of the API, such as `2024-10-21`; `v1` for the paths under `/openai/v1`, where the
            deployment is the model that the body names.
        dimensions, encoding_format, extra: as for `oh.remote.openai_embeddings`.
        **common: as there, with auth `oh.Credential("azure_openai")` by default, a key; a token of Entra ID is
            `oh.Credential("azure_openai", scheme="bearer")`.

    Raises:
        ModelError: OH301, OH303, OH304, OH322, OH323 or OH325, an argument is wrong.
    """
    given = {"model": deployment, "dimensions": dimensions, "encoding_format": encoding_format}
    return openai.embeddings(_service(resource_url, api_version, extra), given, common)


def _service(resource_url: str | Endpoint, api_version: str, extra: Fields | None) -> Service:
    return Service("azure_openai", resource_url, text("api_version", api_version), extra)
