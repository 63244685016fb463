"""The operator library as a session's execution provider: its options, and the first door beside it."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxhybrid as oh
from tests.bindings import c
from tests.remotes import TOKEN, X, adder, reply
from tests.second_door import NAME, devices, opened, options
from tests.servers.echo import echo_server
from tests.servers.raw import RawServer, answer, raw_server
from tests.strategies import dense, rows
from tests.test_plain_session import TWO, parallel, plain, unprepared
from tests.test_plain_session import X as ROWS

ANSWER = answer(reply())
LIBRARY = "onnxhybrid"


def tokens(server: RawServer) -> list[str]:
    """The token of each request; empty where there is none."""
    heads = [request.split(b"\r\n\r\n")[0].decode() for request in server.requests]
    return [head.partition("Bearer ")[2].split("\r\n")[0] for head in heads]


def test_it_is_offered_for_the_cpu_and_told_by_its_name_and_version() -> None:
    (device,) = devices()
    assert (device.ep_name, device.ep_vendor) == (NAME, "onnxhybrid")
    assert device.device.type == onnxruntime.OrtHardwareDeviceType.CPU
    assert opened(adder("http://127.0.0.1:1")).get_providers() == [NAME, "CPUExecutionProvider"]


def test_two_sessions_share_no_credential() -> None:
    with raw_server(ANSWER) as server:
        model = adder(server.url, auth=oh.Credential("cloud"))
        given = [opened(model, credentials={"cloud": token}) for token in (TOKEN, "another")]
        for session in given:
            session.run(None, {"x": X})
        with pytest.raises(Exception, match="OH510"):
            opened(model).run(None, {"x": X})
    assert tokens(server) == [TOKEN, "another"]


def test_two_sessions_share_no_budget() -> None:
    with raw_server(ANSWER) as server:
        for _ in range(2):
            session = opened(adder(server.url), policy={"budget": {"calls": 1}})
            session.run(None, {"x": X})
            with pytest.raises(Exception, match="OH521"):
                session.run(None, {"x": X})


def test_an_option_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text(json.dumps({"cloud": {"value": TOKEN, "hosts": ["127.0.0.1"]}}))
    with raw_server(ANSWER) as server:
        model = adder(server.url, auth=oh.Credential("cloud"))
        opened(model, credentials=f"@{tmp_path}/credentials.json").run(None, {"x": X})
    assert tokens(server) == [TOKEN]


def test_an_endpoint_is_the_session_s() -> None:
    with raw_server(ANSWER) as server:
        session = opened(adder(oh.Endpoint("gpu")), endpoints={"gpu": server.url})
        np.testing.assert_array_equal(session.run(None, {"x": X})[0], [[1, 2], [3, 4]])


def test_the_settings_of_the_first_door_are_those_of_the_second_too() -> None:
    with raw_server(ANSWER) as server:
        model = adder(server.url, auth=oh.Credential("cloud")).to_proto().SerializeToString()
        settings = options()
        settings.add_session_config_entry("onnxhybrid.session", json.dumps({"credentials": {"cloud": TOKEN}}))
        onnxruntime.InferenceSession(model, settings).run(None, {"x": X})
    assert tokens(server) == [TOKEN]


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(Exception, match=r"\[OH\d{3}\]") as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"credential": "{}"}, "OH596"),
        ({"Policy": "{}"}, "OH596"),
        ({TOKEN: "cloud"}, "OH596"),
        ({"policy": "{"}, "OH590"),
        ({"policy": '{"alow": []}'}, "OH591"),
        ({"credentials": f'{{"cloud": ["{TOKEN}"]}}'}, "OH592"),
        ({"endpoints": "@/nowhere/endpoints.json"}, "OH594"),
    ],
)
def test_an_option_that_is_none_is_refused_when_the_session_opens(given: dict[str, str], code: str) -> None:
    said = refused(lambda: opened(adder("http://127.0.0.1:1"), **given))
    assert f"[{code}]" in said
    assert TOKEN not in said


def test_settings_are_given_in_one_place() -> None:
    settings = options(policy={})
    settings.add_session_config_entry("onnxhybrid.session", "{}")
    model = adder("http://127.0.0.1:1").to_proto().SerializeToString()
    assert "[OH593]" in refused(lambda: onnxruntime.InferenceSession(model, settings))


def operators_first() -> None:
    settings = unprepared()
    settings.log_severity_level = 4
    settings.add_provider_for_devices(devices(), {})
    plain(adder("http://127.0.0.1:1"), settings)


def provider_first() -> None:
    options().register_custom_ops_library(oh.library_path())


def with_session() -> None:
    oh.Session(adder("http://127.0.0.1:1"), sess_options=options())


def with_register() -> None:
    oh.register(options())


@pytest.mark.parametrize("both", [operators_first, provider_first, with_session, with_register])
def test_a_session_that_has_both_doors_is_told_what_to_do(both: Callable[[], object]) -> None:
    said = refused(both)
    assert "[OH595]" in said
    assert "leave out either the execution provider" in said


def test_sessions_of_either_door_stand_side_by_side() -> None:
    with echo_server() as server:
        model = parallel(server.url)
        sessions = [opened(model), plain(model), oh.Session(model), opened(model)]
        for _ in range(3):
            for session in sessions:
                for value, expected in zip(session.run(None, {"x": ROWS}), TWO, strict=False):
                    np.testing.assert_array_equal(value, expected)


def test_a_plain_model_runs_whether_or_not_it_asks_for_a_policy_of_devices() -> None:
    local, x = dense("local", "x", "y", (3, 3), softmax=True), rows(4, 3)
    data = local.to_proto().SerializeToString()
    (expected,) = onnxruntime.InferenceSession(data).run(None, {"x": x})
    chosen = onnxruntime.SessionOptions()
    devices()
    chosen.set_provider_selection_policy(onnxruntime.OrtExecutionProviderDevicePolicy.PREFER_CPU)
    for settings in (chosen, options()):
        np.testing.assert_array_equal(onnxruntime.InferenceSession(data, settings).run(None, {"x": x})[0], expected)


class Base(ctypes.Structure):
    """`OrtApiBase`."""

    _fields_ = (("get_api", ctypes.c_void_p), ("version", ctypes.CFUNCTYPE(ctypes.c_void_p)))


@pytest.mark.skipif(sys.platform == "win32", reason="the runtime is found by dlopen")
def test_an_older_runtime_is_told_what_to_do_instead() -> None:
    runtime, library = ctypes.CDLL(str(c.runtime())), ctypes.CDLL(oh.library_path())
    runtime.OrtGetApiBase.restype = ctypes.POINTER(Base)
    version = ctypes.create_string_buffer(b"1.23.2")
    told = ctypes.CFUNCTYPE(ctypes.c_void_p)(lambda: ctypes.addressof(version))
    base = Base(runtime.OrtGetApiBase().contents.get_api, told)
    library.CreateEpFactories.restype = ctypes.c_void_p
    slots, count = (ctypes.c_void_p * 4)(), ctypes.c_size_t()
    status = library.CreateEpFactories(b"x", ctypes.byref(base), None, slots, ctypes.c_size_t(4), ctypes.byref(count))
    table = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)(base.get_api)(1)
    message = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))[2]
    said = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(message)(status).decode()
    assert count.value == 0
    assert "[OH554]" in said
    assert "1.24 and later, and this is 1.23.2" in said
    assert "RegisterCustomOpsLibrary" in said


def ran(program: str, *arguments: str) -> tuple[int, str]:
    """The status of a Python program, and what it said."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_session_outlives_the_library_s_registration_and_it_can_be_registered_again() -> None:
    program = """
        import sys
        import onnxruntime
        from tests import second_door
        from tests.test_plain_session import TWO, X, parallel

        model = parallel(sys.argv[1])
        session = second_door.opened(model)
        onnxruntime.unregister_execution_provider_library("onnxhybrid")
        assert (session.run(None, {"x": X})[0] == TWO[0]).all()
        second_door.devices.cache_clear()
        assert (second_door.opened(model).run(None, {"x": X})[0] == TWO[0]).all()
        assert (session.run(None, {"x": X})[0] == TWO[0]).all()
        print("done")
    """
    with echo_server() as server:
        assert ran(program, server.url) == (0, "done\n")


def test_a_process_ends_while_calls_are_under_way() -> None:
    program = """
        import sys, threading
        from tests import second_door
        from tests.remotes import X, adder
        from tests.test_begin import whole

        for make in (adder, whole):
            session = second_door.opened(make(sys.argv[1], timeout=300))
            for _ in range(3):
                threading.Thread(target=session.run, args=(None, {"x": X}), daemon=True).start()
        sys.stdin.readline()
        print("done", flush=True)
    """

    seen: list[Any] = []

    def hold(connection: Any, request: bytes) -> None:
        seen.append(request)
        if len(seen) == 6:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        connection.recv(1)

    root = Path(__file__).parent.parent
    with raw_server(hold) as server:
        command = [sys.executable, "-c", textwrap.dedent(program), server.url]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        with subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = process.stdout.read()
            process.wait(120)
    assert (process.returncode, said, len(seen)) == (0, "done\n", 6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_goes_on() -> None:
    program = """
        import os, sys
        from tests import second_door
        from tests.test_plain_session import TWO, X, parallel

        model = parallel(sys.argv[1])
        session = second_door.opened(model)
        session.run(None, {"x": X})
        child = os.fork()
        if child == 0:
            try:
                for each in (session, second_door.opened(model)):
                    assert (each.run(None, {"x": X})[0] == TWO[0]).all()
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        print("done")
    """
    with echo_server() as server:
        assert ran(program, server.url) == (0, "done\n")
