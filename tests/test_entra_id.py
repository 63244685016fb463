"""The page's way to a token of Entra ID, with azure-identity itself; who is logged in and the service are stand-ins."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import azure.identity
import numpy as np
import pytest
from azure.core.credentials import AccessToken

import onnxhybrid as oh
from tests.servers.faults import Good
from tests.servers.heard import heard
from tests.servers.raw import answer, raw_server

PAGE = (Path(__file__).parent.parent / "docs" / "credentials.md").read_text(encoding="utf-8")
ANSWER = Good(json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}}]}).encode())


class LoggedIn:
    """A TokenCredential: whoever is logged in; each token is another, and lives for as many seconds."""

    lifetime = 3600

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token of its own for each question."""
        self.scopes.extend(scopes)
        return AccessToken(f"eyJ0eXAi.entra-{len(self.scopes)}.c2lnbmF0dXJl", int(time.time()) + self.lifetime)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> LoggedIn:
    """What the page's `DefaultAzureCredential()` is."""
    one = LoggedIn()
    monkeypatch.setattr(azure.identity, "DefaultAzureCredential", lambda: one)
    return one


def service(connection: Any, request: bytes) -> None:
    """A resource whose keys are off: a bearer token, and nothing else."""
    headers = heard(request).headers
    refused = "api-key" in headers or not headers.get("authorization", "").startswith("Bearer eyJ0eXAi.entra-")
    status, body = ("403 Forbidden", b"{}") if refused else ("200 OK", ANSWER.body)
    answer(body, status=status)(connection, request)


def tokens_of_two_calls() -> tuple[list[str], set[str]]:
    """The Authorization headers of two calls by the page's own lines, and the paths that were called."""
    [example] = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def entra_id" in code]
    [line] = re.findall(r"^session = .*entra_id.*$", PAGE, re.MULTILINE)
    with raw_server(service) as server:
        names: dict[str, Any] = {"oh": oh}
        example = example.replace("https://name.openai.azure.com", server.url)
        exec(example.replace("name.openai.azure.com", "127.0.0.1"), names)
        exec(line, names)
        for _ in range(2):
            assert names["session"].run(None, {"prompt": np.array(["hi"])})[0].tolist() == ["ok"]
        requests = [heard(request) for request in server.requests]
    return [request.headers["authorization"] for request in requests], {request.path for request in requests}


def test_the_token_provider_of_the_page_gives_each_call_its_token(identity: LoggedIn) -> None:
    tokens, paths = tokens_of_two_calls()
    assert tokens == ["Bearer eyJ0eXAi.entra-1.c2lnbmF0dXJl"] * 2
    assert paths == {"/openai/v1/chat/completions"}
    assert identity.scopes == ["https://cognitiveservices.azure.com/.default"]


def test_a_token_that_is_about_to_end_is_renewed_before_the_next_call(identity: LoggedIn) -> None:
    identity.lifetime = 30
    tokens, _ = tokens_of_two_calls()
    assert tokens == [f"Bearer eyJ0eXAi.entra-{number}.c2lnbmF0dXJl" for number in (1, 2)]


def test_a_resource_whose_keys_are_off_refuses_the_key_that_is_the_default() -> None:
    with raw_server(service) as server:
        chat = oh.remote.azure_openai_chat(server.url, "gpt-4o", api_version="v1")
        session = oh.Session(chat, credentials={"azure_openai": "k" * 20})
        with pytest.raises(oh.RemoteStatusError, match="403"):
            session.run(None, {"prompt": np.array(["hi"])})
