"""The page's way to a token of Entra ID, run with a stand-in for azure-identity and for the service."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxhybrid as oh
from tests.servers.faults import Good
from tests.servers.heard import heard
from tests.servers.raw import answer, raw_server

PAGE = Path(__file__).parent.parent / "docs" / "remote.md"
ANSWER = Good(json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}}]}).encode())


class Identity:
    """Whoever is logged in; each token is another, as where one is renewed."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def provider(self, credential: object, *scopes: str) -> Callable[[], str]:
        assert isinstance(credential, Identity)

        def token() -> str:
            self.scopes.extend(scopes)
            return f"eyJ0eXAi.entra-{len(self.scopes)}.c2lnbmF0dXJl"

        return token


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Identity:
    """`azure.identity`, as far as the page uses it."""
    one, module = Identity(), types.ModuleType("azure.identity")
    monkeypatch.setattr(module, "DefaultAzureCredential", lambda: one, raising=False)
    monkeypatch.setattr(module, "get_bearer_token_provider", one.provider, raising=False)
    monkeypatch.setitem(sys.modules, "azure", types.ModuleType("azure"))
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    return one


def service(connection: Any, request: bytes) -> None:
    """A resource whose keys are off: a bearer token, and nothing else."""
    headers = heard(request).headers
    refused = "api-key" in headers or not headers.get("authorization", "").startswith("Bearer eyJ0eXAi.entra-")
    status, body = ("403 Forbidden", b"{}") if refused else ("200 OK", ANSWER.body)
    answer(body, status=status)(connection, request)


def test_the_token_provider_of_the_page_gives_each_call_its_token(identity: Identity) -> None:
    [example] = [code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "entra_id" in code]
    [line] = re.findall(r"^session = .*entra_id.*$", PAGE.read_text(), re.MULTILINE)
    with raw_server(service) as server:
        names: dict[str, Any] = {"oh": oh}
        exec(example.replace("https://name.openai.azure.com", server.url), names)
        exec(line.replace("name.openai.azure.com", "127.0.0.1"), names)
        for _ in range(2):
            assert names["session"].run(None, {"prompt": np.array(["hi"])})[0].tolist() == ["ok"]
        requests = [heard(request) for request in server.requests]
    tokens = [f"Bearer eyJ0eXAi.entra-{number}.c2lnbmF0dXJl" for number in (1, 2)]
    assert [request.headers["authorization"] for request in requests] == tokens
    assert {request.path for request in requests} == {"/openai/v1/chat/completions"}
    assert identity.scopes == ["https://cognitiveservices.azure.com/.default"] * 2


def test_a_resource_whose_keys_are_off_refuses_the_key_that_is_the_default() -> None:
    with raw_server(service) as server:
        chat = oh.remote.azure_openai_chat(server.url, "gpt-4o", api_version="v1")
        session = oh.Session(chat, credentials={"azure_openai": "k" * 20})
        with pytest.raises(oh.RemoteStatusError, match="403"):
            session.run(None, {"prompt": np.array(["hi"])})
