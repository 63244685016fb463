"""The page of operations on timeouts: ours is for the whole call, the official clients' for each attempt."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import numpy as np
import openai
import pytest

import onnxhybrid as oh
from tests.servers.raw import raw_server

SECONDS = 0.4


def silent(connection: socket.socket, request: bytes) -> None:
    """Read a request, and say nothing until the client goes."""
    connection.settimeout(30)
    connection.recv(1)


def lasted(call: Callable[[], object]) -> float:
    """How long a call waits for a server that never answers, in seconds."""
    began = time.monotonic()
    with pytest.raises((oh.RemoteTimeout, openai.APITimeoutError)):
        call()
    return time.monotonic() - began


def test_two_repeats_cost_the_official_client_three_timeouts_and_ours_one() -> None:
    with raw_server(silent) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", timeout=SECONDS, max_retries=2)
        message = {"role": "user", "content": "hi"}
        theirs = lasted(lambda: client.chat.completions.create(model="m", messages=[message]))  # type: ignore[list-item]
        asked = len(server.requests)
        client.close()
        chat = oh.remote.openai_chat("m", url=f"{server.url}/v1", auth=None, timeout=SECONDS, retries=2)
        ours = lasted(lambda: oh.Session(chat).run(None, {"prompt": np.array(["hi"])}))
    assert asked == 3
    assert theirs >= 3 * SECONDS
    assert SECONDS <= ours < 2 * SECONDS


def test_an_attempt_timeout_leaves_time_for_a_repeat_within_the_same_deadline() -> None:
    with raw_server(silent) as server:
        chat = oh.remote.openai_chat(
            "m", url=f"{server.url}/v1", auth=None, timeout=3 * SECONDS, attempt_timeout=SECONDS, retries=9
        )
        ours = lasted(lambda: oh.Session(chat).run(None, {"prompt": np.array(["hi"])}))
        asked = len(server.requests)
    assert asked >= 2
    assert ours < 4 * SECONDS
