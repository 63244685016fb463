"""Remote models of the OpenAI API: speech to text, chat, responses and embeddings.

Source: https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxhybrid.errors import ModelError
from onnxhybrid.model.batching import Slices
from onnxhybrid.model.model import Model
from onnxhybrid.model.tensor_spec import Input, TensorSpec
from onnxhybrid.remote.auth import Credential
from onnxhybrid.remote.groups import Fields
from onnxhybrid.remote.invoke import CallSettings, Target, builder, invoke
from onnxhybrid.remote.named_endpoint import Endpoint
from onnxhybrid.remote.options import Options, chosen, flag

URL = "https://api.openai.com/v1"
ENCODINGS = ("base64", "float")

Text = str | Input
Number = float | Input
Integer = int | Input


@builder
def openai_audio(
    model: Text = "whisper-1",
    *,
    url: str | Endpoint = URL,
    audio_format: Text = "wav",
    response_format: Text = "json",
    language: Text | None = None,
    prompt: Text | None = None,
    temperature: Number | None = None,
    translate: bool = False,
    extra: Fields | None = None,
    **common: Any,
) -> Model:
    """Speech to text on a service of the OpenAI API.

    Input `file` uint8["bytes"], an audio file as it is on disk; output `text` str[1].

    Args:
        model: what the service calls the model.
        url: the base URL, as the official client's `base_url`; or an `oh.Endpoint`.
        audio_format: the file's name extension, such as wav, mp3 or flac.
        response_format: json and text give the text, in whichever of both forms the server answers; srt, vtt,
            verbose_json, diarized_json and any other that the server knows give the body as it came.
        language: the language that is spoken (ISO 639-1); not for a translation.
        prompt: text that guides the model's style.
        temperature: the sampling temperature.
        translate: translate into English instead of transcribing.
        extra: further fields of the form, by name: a JSON value or an `oh.Input()` each, as for
            `oh.remote.openai_chat`. As the official client has it, a list is the repeated field `name[]` and an object
            the fields `name[key]`: `{"timestamp_granularities": ["word"]}`.
        **common: what every call has, as for `oh.remote.triton`; auth is `oh.Credential("openai")` by default.

    Each option but `translate` may be an `oh.Input()`: a graph input of shape [1], str or (temperature) float32. One
    that is None, or an empty text, is not sent.

    Raises:
        ModelError: OH301, OH303, OH304, OH322, OH323 or OH325, an argument is wrong.
    """
    given = {
        "model": model,
        "audio_format": audio_format,
        "response_format": response_format,
        "language": language,
        "prompt": prompt,
        "temperature": temperature,
    }
    return audio(Service("openai", url, extra=extra), given, translate, common)


@builder
def openai_chat(
    model: Text,
    *,
    url: str | Endpoint = URL,
    system: Text | None = None,
    temperature: Number | None = None,
    max_tokens: Integer | None = None,
    max_completion_tokens: Integer | None = None,
    raw: bool = False,
    extra: Fields | None = None,
    **common: Any,
) -> Model:
    """Chat completions of a service of the OpenAI API, one request for each row, side by side.

    Input `prompt` str["n"], output `text` str["n"]: the content of each answer's first choice, of which the parts that
    are texts are joined. Where there is no content, the run's error (OH504) tells the `finish_reason`; an empty one is
    an answer where the model stopped by itself, and a text that was cut is given as it is.

    Args:
        model: what the service calls the model.
        url: the base URL, as the official client's `base_url`; or an `oh.Endpoint`.
        system: the system message.
        temperature: the sampling temperature.
        max_tokens: the most tokens that an answer may have.
        max_completion_tokens: the same limit as OpenAI's models have it that reason, which take no max_tokens; it
            covers the reasoning, too.
        raw: each row is a whole JSON request body, sent as it is, and gives the whole JSON answer.
        extra: further fields of the body, by name: a JSON value each, or an `oh.Input()`, a graph input of
            shape [1] and of its default's type (bool, int64, float32, str), without a default str; an empty text is not
            sent.
        **common: what every call has, as for `oh.remote.triton`; auth is `oh.Credential("openai")` by default.
            timeout is for all rows together, attempt_timeout and retries for each.

    Each option but `raw` may be an `oh.Input()`: a graph input of shape [1], str, float32 (temperature) or int64. One
    that is None, or an empty text, is not sent.

    Raises:
        ModelError: OH301, OH303, OH304, OH322, OH323 or OH325, an argument is wrong.
    """
    given = {
        "model": model,
        "system": system,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "max_completion_tokens": max_completion_tokens,
    }
    return chat(Service("openai", url, extra=extra), given, raw, common)


@builder
def openai_responses(
    model: Text,
    *,
    url: str | Endpoint = URL,
    instructions: Text | None = None,
    max_output_tokens: Integer | None = None,
    extra: Fields | None = None,
    **common: Any,
) -> Model:
    """Responses of a service of the OpenAI API, one request for each row, side by side.

    Input `prompt` str["n"], output `text` str["n"]: all texts of an answer's messages, joined, as the official client's
    `output_text`. A response that is not completed, be it cut at a limit, is the run's error (OH504) with the reason.

    Args:
        model: what the service calls the model.
        url: the base URL, as the official client's `base_url`; or an `oh.Endpoint`.
        instructions: what the model is told before the prompt.
        max_output_tokens: the most tokens that an answer may have, its reasoning included.
        extra: further fields of the body, as for `oh.remote.openai_chat`.
        **common: what every call has, as for `oh.remote.triton`; auth is `oh.Credential("openai")` by default.
            timeout is for all rows together, attempt_timeout and retries for each.

    Each option may be an `oh.Input()`: a graph input of shape [1], str or int64. One that is None, or an empty text, is
    not sent. Source: https://platform.openai.com/docs/api-reference/responses.

    Raises:
        ModelError: OH301, OH303 or OH304, an argument is wrong.
    """
    given = {"model": model, "instructions": instructions, "max_output_tokens": max_output_tokens}
    tensors = TensorSpec("prompt", "str", ("n",)), TensorSpec("text", "str", ("n",))
    return Service("openai", url, extra=extra).model("responses", tensors, given, common)


@builder
def openai_embeddings(
    model: Text,
    *,
    url: str | Endpoint = URL,
    dimensions: Integer | None = None,
    encoding_format: Text | None = "base64",
    extra: Fields | None = None,
    **common: Any,
) -> Model:
    """Embeddings of a service of the OpenAI API, a batch in one request, or in slices where it is large.

    Without `batch` one request holds 2048 texts and 256 KiB of text at most, which OpenAI and Azure take; `batch=0`
    sends all in one.

    Input `text` str["n"], output `embedding` float32["n", d], where d is `dimensions` if that is given.

    Args:
        model: what the service calls the model.
        url: the base URL, as the official client's `base_url`; or an `oh.Endpoint`.
        dimensions: the length of a vector, where the model can shorten it.
        encoding_format: how the vectors are asked for, base64 or float; None asks for neither, for servers that refuse
            the field. Both forms are read, whichever was asked for.
        extra: further fields of the body, as for `oh.remote.openai_chat`.
        **common: what every call has, as for `oh.remote.triton`; auth is `oh.Credential("openai")` by default.

    Each option may be an `oh.Input()`: a graph input of shape [1], str or int64.

    Raises:
        ModelError: OH301, OH303, OH304, OH322, OH323 or OH325, an argument is wrong.
    """
    given = {"model": model, "dimensions": dimensions, "encoding_format": encoding_format}
    return embeddings(Service("openai", url, extra=extra), given, common)


@dataclass(frozen=True)
class Service:
    """A service of the OpenAI API, `openai` or `azure_openai` with the version of its API; `extra` goes along."""

    family: str
    url: str | Endpoint
    api_version: str = ""
    extra: Fields | None = None

    def protocol(self, operation: str) -> str:
        """The protocol of one of its operations."""
        return f"{self.family}.{operation}"

    def model(
        self,
        operation: str,
        tensors: tuple[TensorSpec, TensorSpec],
        given: Mapping[str, object],
        common: Mapping[str, Any],
        **constant: str,
    ) -> Model:
        """A Model of one call that takes and gives one tensor.

        Raises:
            ModelError: OH301, OH303, OH304, OH322, OH323 or OH325, an argument is wrong.
        """
        settings = CallSettings.of(common, auth=Credential(self.family))
        if self.api_version:
            constant["api_version"] = self.api_version
        options = Options.of(self.protocol(operation), _named_model(given), extra=self.extra, **constant)
        # A model that is known is an attribute by the target, which is also where RemoteSpec looks.
        name = options.attributes.pop("model", "")
        target = Target(self.protocol(operation), self.url, str(name))
        taken, result = tensors
        return invoke(target, (taken,), (result,), settings, options, _SLICES.get(operation))


def audio(service: Service, given: Mapping[str, object], translate: object, common: Mapping[str, Any]) -> Model:
    """The Model of `openai_audio`, on any service."""
    task = "translations" if flag("translate", translate) else "transcriptions"
    if task == "translations" and given["language"] is not None:
        raise ModelError("OH304", "a translation takes no language: it is always into English")
    tensors = TensorSpec("file", "uint8", ("bytes",)), TensorSpec("text", "str", (1,))
    return service.model("audio", tensors, given, common, task=task)


def chat(service: Service, given: Mapping[str, object], raw: object, common: Mapping[str, Any]) -> Model:
    """The Model of `openai_chat`, on any service."""
    form = "raw" if flag("raw", raw) else "text"
    useless = [
        name for name, value in (*given.items(), ("extra", service.extra)) if name != "model" and value is not None
    ]
    if form == "raw" and useless:
        raise ModelError("OH304", f"with raw=True a row is the whole body, and {useless[0]} has no place in it")
    if given["max_tokens"] is not None and given["max_completion_tokens"] is not None:
        raise ModelError(
            "OH304", "max_tokens and max_completion_tokens are one limit: give the one that the model takes"
        )
    tensors = TensorSpec("prompt", "str", ("n",)), TensorSpec("text", "str", ("n",))
    return service.model("chat", tensors, given, common, form=form)


def embeddings(service: Service, given: Mapping[str, object], common: Mapping[str, Any]) -> Model:
    """The Model of `openai_embeddings`, on any service."""
    dimensions = given["dimensions"]
    width = dimensions if isinstance(dimensions, int) and not isinstance(dimensions, bool) else None
    if width is not None and width < 1:
        raise ModelError("OH304", f"dimensions is an int from 1, not {width}")
    encoding = given["encoding_format"]
    if encoding is not None:
        chosen("encoding_format", encoding, ENCODINGS)
    asked = {**given, "encoding_format": _UNASKED if encoding is None else encoding}
    tensors = TensorSpec("text", "str", ("n",)), TensorSpec("embedding", "float32", ("n", width))
    return service.model("embeddings", tensors, asked, common)


_SLICES = {"embeddings": Slices(2048, 1 << 18)}
"""What one request may hold, by operation: OpenAI and Azure take 2048 texts, and 300 000 tokens together. A token has
one byte at least. Source: https://platform.openai.com/docs/api-reference/embeddings/create."""

_UNASKED = "none"
"""The node's encoding_format where none is sent; a node without the attribute asks for base64."""


def _named_model(given: Mapping[str, object]) -> Mapping[str, object]:
    model = given["model"]
    if isinstance(model, Input) or (isinstance(model, str) and model):
        return given
    raise ModelError("OH304", f"the model is a non-empty string or an oh.Input, not {model!r}")
