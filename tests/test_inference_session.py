"""An `oh.Session` is an InferenceSession: each public method takes and gives the same, remote calls included."""

from __future__ import annotations

import gc
import inspect
import json
import queue
import signal
import socket
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import _pybind_state as state

import onnxhybrid as oh
from tests.remotes import TOKEN, X, adder, reply
from tests.servers.raw import Behaviour, answer, raw_server
from tests.strategies import dense, of_graph, rows
from tests.test_begin import LONG

PUBLIC = sorted(name for name in dir(onnxruntime.InferenceSession) if not name.startswith("_"))
FEED = rows(2, 3)
CPU = "CPUExecutionProvider"

Array = npt.NDArray[Any]
Way = Callable[..., Array]


def by_values(session: Any, x: Array, options: Any = None) -> Array:
    (y,) = session.run_with_ort_values(None, {"x": onnxruntime.OrtValue.ortvalue_from_numpy(x)}, options)
    return np.asarray(y.numpy())


def by_binding(session: Any, x: Array, options: Any = None) -> Array:
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    session.run_with_iobinding(binding, options)
    return np.asarray(binding.copy_outputs_to_cpu()[0])


def by_vector(session: Any, x: Array, options: Any = None) -> Array:
    feeds, fetches = state.OrtValueVector(), state.OrtValueVector()
    value = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    feeds.push_back(value._ortvalue)
    device = onnxruntime.OrtDevice.make("cpu", 0)._get_c_device()
    session.run_with_ortvaluevector(options or onnxruntime.RunOptions(), ["x"], feeds, ["y"], fetches, [device])
    return np.asarray(onnxruntime.OrtValue(fetches[0]).numpy())


def by_run(session: Any, x: Array, options: Any = None) -> Array:
    return np.asarray(session.run(["y"], {"x": x}, options)[0])


def by_run_async(session: Any, x: Array) -> Array:
    heard, outcome = threading.Event(), list[Any]()

    def keep(outputs: list[Array], *_: object) -> None:
        outcome.extend(outputs)
        heard.set()

    session.run_async(["y"], {"x": x}, keep, None)
    assert heard.wait(LONG)
    return np.asarray(outcome[0])


def after_new_providers(session: Any) -> object:
    session.set_providers([CPU])
    return session.get_providers(), by_run(session, FEED).tolist()


def filled(session: Any) -> object:
    return session.create_ortvalue_from_shape_and_type([2, 3], np.float32, "cpu").shape()


ARGUMENTS: dict[str, Callable[[Any], object]] = {
    "create_ortvalue_from_shape_and_type": filled,
    "end_profiling": lambda session: Path(session.end_profiling()).is_file(),
    "get_profiling_start_time_ns": lambda session: type(session.get_profiling_start_time_ns()),
    "io_binding": lambda session: type(session.io_binding()),
    "run": lambda session: by_run(session, FEED).tolist(),
    "run_async": lambda session: by_run_async(session, FEED).tolist(),
    "run_with_iobinding": lambda session: by_binding(session, FEED).tolist(),
    "run_with_ort_values": lambda session: by_values(session, FEED).tolist(),
    "run_with_ortvaluevector": lambda session: by_vector(session, FEED).tolist(),
    "set_ep_dynamic_options": lambda session: session.set_ep_dynamic_options({"ep.dynamic.workload_type": "Default"}),
    "set_providers": after_new_providers,
    "set_tuning_results": lambda session: session.set_tuning_results(session.get_tuning_results()),
}
"""How a method is called that cannot be called without arguments, or whose result differs from session to session."""


def seen(thing: object) -> object:
    """What can be compared of what a method gives."""
    if isinstance(thing, (list, tuple)):
        return [seen(entry) for entry in thing]
    if thing is None or isinstance(thing, (str, int, float, bool, dict, type)):
        return thing
    fields = {name: getattr(thing, name, None) for name in dir(thing) if not name.startswith("_")}
    return {name: value for name, value in fields.items() if isinstance(value, (str, int, float, list, dict))}


def outcome(call: Callable[[Any], object], session: Any) -> object:
    try:
        return seen(call(session))
    except Exception as problem:  # noqa: BLE001  # a provider may not have what is asked of it
        return type(problem)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[oh.Session, Any]:
    """A session of ours and one of ONNX Runtime's, of one file with the same options."""
    dense("m", "x", "y", (3, 3)).save(tmp_path / "m.onnx")
    options = [onnxruntime.SessionOptions(), onnxruntime.SessionOptions()]
    for each in options:
        each.enable_profiling = True
        each.profile_file_prefix = str(tmp_path / "profile")
        each.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    ours = oh.Session(tmp_path / "m.onnx", sess_options=options[0], providers=[CPU])
    theirs = onnxruntime.InferenceSession(tmp_path / "m.onnx", options[1], providers=[CPU])
    return ours, theirs


@pytest.mark.parametrize("name", PUBLIC)
def test_each_method_takes_what_onnx_runtime_s_takes(name: str) -> None:
    ours = inspect.signature(getattr(oh.Session, name)).parameters
    theirs = inspect.signature(getattr(onnxruntime.InferenceSession, name)).parameters
    assert [(each.name, each.kind, each.default) for each in ours.values()] == [
        (each.name, each.kind, each.default) for each in theirs.values()
    ]


@pytest.mark.parametrize("name", PUBLIC)
def test_each_method_gives_what_onnx_runtime_s_gives(pair: tuple[oh.Session, Any], name: str) -> None:
    call = ARGUMENTS.get(name, lambda session: getattr(session, name)())
    ours, theirs = (outcome(call, session) for session in pair)
    assert ours == theirs
    assert ours is not TypeError, "the test does not know this method's arguments"


def test_a_session_is_an_inference_session_and_hides_nothing_of_it(pair: tuple[oh.Session, Any]) -> None:
    ours, theirs = pair
    assert isinstance(ours, onnxruntime.InferenceSession)
    own_methods = {name for name in vars(oh.Session) if not name.startswith("__")}
    assert not {name for name in own_methods - set(PUBLIC) if hasattr(onnxruntime.InferenceSession, name)}
    own_state = vars(ours).keys() - vars(theirs).keys()
    assert own_state
    assert not {name for name in own_state if hasattr(onnxruntime.InferenceSession, name)}
    assert not own_methods & vars(theirs).keys()


def test_a_binding_made_by_onnx_runtime_s_own_class_runs() -> None:
    session = oh.Session(dense("m", "x", "y", (3, 3)))
    binding = onnxruntime.IOBinding(session)
    binding.bind_cpu_input("x", FEED)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], by_run(session, FEED))


def test_other_providers_leave_weights_scope_and_statistics_as_they_were() -> None:
    with raw_server(answer(reply())) as server:
        heavy = dense("a", "x", "x2", (3, 3))
        hybrid = oh.chain(heavy, adder(server.url, auth=oh.Credential("gpu")).rename({"x": "x2"}))
        session = oh.Session(hybrid, credentials={"gpu": TOKEN})
        other = oh.Session(dense("m", "x", "y", (3, 3)))
        by_run(session, X)
        session.set_providers([CPU])
        by_run(session, X)
        assert session.stats()["adder"].calls == 2
        assert other.stats() == {}
        assert [TOKEN.encode() in request for request in server.requests] == [True, True]


def test_other_providers_find_the_weights_where_they_were(tmp_path: Path) -> None:
    model, feed = dense("m", "x", "y", (200, 200)), rows(1, 200)
    model.save(tmp_path / "m.onnx", external_data=True)
    for given in (model, oh.load(tmp_path / "m.onnx"), tmp_path / "m.onnx"):
        session = oh.Session(given)
        before = by_run(session, feed)
        session.set_providers([CPU])
        gc.collect()
        np.testing.assert_array_equal(by_run(session, feed), before)


def test_other_providers_of_one_session_leave_another_of_the_same_options_alone() -> None:
    options = onnxruntime.SessionOptions()
    with raw_server(answer(reply())) as server:
        first = oh.Session(adder(server.url), sess_options=options)
        second = oh.Session(adder(server.url), sess_options=options)
        first.set_providers([CPU])
        by_run(first, X)
        assert (first.stats()["adder"].calls, second.stats()["adder"].calls) == (1, 0)


@pytest.mark.parametrize("given", [True, False])
def test_an_optional_input_may_be_left_out_of_every_run(given: bool) -> None:
    x = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
    taken = helper.make_value_info("x", helper.make_optional_type_proto(x))
    gives = helper.make_tensor_value_info("y", TensorProto.BOOL, [])
    graph = helper.make_graph([helper.make_node("OptionalHasElement", ["x"], ["y"])], "g", [taken], [gives])
    session, feeds = oh.Session(of_graph(graph, opset=18)), {"x": FEED} if given else {}
    assert [bool(y) for y in session.run(None, feeds)] == [given]
    assert [bool(y) for y in session.submit(None, feeds).result(LONG)] == [given]
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    session.run_async(["y"], feeds, lambda outputs, _, error: heard.put((outputs, error)), None)
    outputs, error = heard.get(timeout=LONG)
    assert ([bool(y) for y in outputs], error) == ([given], "")


def test_a_session_is_freed_with_its_last_user() -> None:
    for model in (dense("m", "x", "y", (3, 3)), adder("http://127.0.0.1:1")):
        session = oh.Session(model)
        gone = weakref.ref(session)
        del session
        assert gone() is None


WAYS = [by_values, by_binding, by_vector]


@pytest.mark.parametrize("way", WAYS)
def test_a_remote_answer_comes_with_the_credential_and_is_counted(way: Way) -> None:
    with raw_server(answer(reply())) as server:
        session = oh.Session(adder(server.url, auth=oh.Credential("gpu")), credentials={"gpu": TOKEN})
        assert way(session, X).tolist() == [[1, 2], [3, 4]]
        assert session.stats()["adder"].calls == 1
        assert TOKEN.encode() in server.requests[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_remote_failure_is_a_coded_error_and_a_line_in_the_log(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    with raw_server(answer(b"", status="403 Forbidden")) as server:
        session = oh.Session(adder(server.url))
        with pytest.raises(oh.RemoteStatusError, match="OH503") as caught:
            way(session, X)
        assert (caught.value.node, caught.value.status) == ("adder", 403)
        assert [record.code for record in caplog.records if record.name == "onnxhybrid"] == ["OH503"]  # type: ignore[attr-defined]
        with pytest.raises(oh.PolicyDenied):
            way(oh.Session(adder(server.url), policy=oh.Policy(allow=[])), X)
        assert len(server.requests) == 1


def never(connection: socket.socket, _: bytes) -> None:
    """Give no answer until the client goes."""
    assert connection.recv(1) == b""


@pytest.mark.parametrize("way", WAYS)
def test_the_deadline_holds(way: Way) -> None:
    with raw_server(never) as server, pytest.raises(oh.RemoteTimeout):
        way(oh.Session(adder(server.url, timeout=0.05)), X)


def doing(action: Callable[[], object]) -> Behaviour:
    """Do something when the request has come, and never answer."""

    def behave(connection: socket.socket, request: bytes) -> None:
        action()
        never(connection, request)

    return behave


@pytest.mark.parametrize("way", WAYS)
def test_terminate_ends_the_wait(way: Way) -> None:
    options = onnxruntime.RunOptions()
    with raw_server(doing(lambda: setattr(options, "terminate", True))) as server:
        session = oh.Session(adder(server.url, timeout=LONG))
        with pytest.raises(oh.RemoteError, match="OH514"):
            way(session, X, options)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there are no signals to a thread here")
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_the_wait(way: Way) -> None:
    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored in the background
    try:
        with raw_server(doing(lambda: signal.pthread_kill(main, signal.SIGINT))) as server:
            session = oh.Session(adder(server.url, timeout=LONG))
            with pytest.raises(KeyboardInterrupt):
                way(session, X)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("way", WAYS)
def test_a_record_is_kept_and_replayed(way: Way, tmp_path: Path) -> None:
    with raw_server(answer(reply())) as server:
        model = adder(server.url)
        live = way(oh.Session(model, record=tmp_path / "answers.jsonl"), X)
    assert way(oh.Session(model, replay=tmp_path / "answers.jsonl"), X).tolist() == live.tolist()
    assert len(server.requests) == 1


VALUE = onnxruntime.OrtValue.ortvalue_from_numpy(FEED)
REFUSED: dict[str, tuple[Callable[[Any], object], str]] = {
    "an array for an OrtValue": (lambda s: s.run_with_ort_values(None, {"x": FEED}), "give onnxruntime.OrtValue"),
    "a name for a list": (lambda s: s.run_with_ort_values("y", {"x": VALUE}), "output_names is a list"),
    "an unknown input": (lambda s: s.run_with_ort_values(None, {"x": VALUE, "q": VALUE}), "q"),
    "feeds for a binding": (lambda s: s.run_with_iobinding({"x": FEED}), "io_binding()"),
    "a dict for options": (lambda s: s.run_with_iobinding(s.io_binding(), {}), "RunOptions"),
    "nothing bound": (lambda s: s.run_with_iobinding(s.io_binding()), ""),
    "a list for a vector": (lambda s: s.run_with_ortvaluevector(None, ["x"], [], ["y"], [], []), "OrtValueVector"),
    "a number for a provider": (lambda s: s.set_providers([5]), "providers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_argument_of_a_method_is_a_coded_error(name: str) -> None:
    call, said = REFUSED[name]
    with pytest.raises(oh.Error, match="OH540") as caught:
        call(oh.Session(dense("m", "x", "y", (3, 3))))
    assert said in caught.value.message


@pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 32),
    reason="earlier bindings do not know their session",
)
def test_another_session_s_binding_is_refused() -> None:
    with raw_server(answer(reply())) as server:
        sessions = [oh.Session(adder(server.url)) for _ in range(2)]
        with pytest.raises(oh.Error, match="OH540"):
            sessions[0].run_with_iobinding(sessions[1].io_binding())
        assert not server.requests


def test_a_profile_names_the_remote_node(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "p")
    with raw_server(answer(reply())) as server:
        session = oh.Session(adder(server.url), sess_options=options)
        by_run(session, X)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    assert any(event.get("args", {}).get("op_name") == "Invoke" for event in events)
