"""A credential under a mistyped name is noticed when the session opens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import onnxhybrid as oh
from onnxhybrid.runtime.credential_names import OFFICIAL
from tests.strategies import dense

TOKEN = "tok-0123456789"
X = np.ones((1, 3), np.float32)


def remote(name: str = "shop", node: str = "till") -> oh.Model:
    specs = [oh.TensorSpec(name, "float32", ("n", 3)) for name in "xy"]
    url = "http://127.0.0.1:1"
    return oh.remote.triton(
        url, "m", inputs=specs[:1], outputs=specs[1:], auth=oh.Credential(name), name=node, retries=0
    )


def in_a_branch() -> oh.Model:
    return oh.switch("c", then=dense("a", "x", "y", (3, 3)), else_=remote())


def in_a_function() -> oh.Model:
    proto = remote().to_proto()
    (call,) = proto.graph.node
    call.input[:], call.output[:] = ["a"], ["r"]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnxhybrid", 1)]
    last = helper.make_node("Identity", ["r"], ["s"])
    function = helper.make_function("l", "call", ["a"], ["s"], [call, last], imports)
    function.value_info.append(helper.make_tensor_value_info("r", 1, ["n", 3]))
    proto.functions.append(function)
    proto.graph.node[0].CopyFrom(helper.make_node("call", ["x"], ["y"], domain="l"))
    del proto.opset_import[:]
    proto.opset_import.extend([*imports, helper.make_opsetid("l", 1)])
    proto.ir_version = 10
    return oh.Model.from_proto(proto)


def test_a_name_in_other_letters_is_a_mistyped_one() -> None:
    for given in ("SHOP", "Shop", "sHp"):
        with pytest.raises(oh.CredentialError, match=rf"OH510.*'shop'.*'{given}'.*did you mean 'shop'\?"):
            oh.Session(remote(), credentials={given: TOKEN})


@pytest.mark.parametrize("model", [remote, in_a_branch, in_a_function])
@pytest.mark.parametrize("saved", [True, False])
def test_a_mistyped_name_is_an_error_when_the_session_opens(
    model: Callable[[], oh.Model], saved: bool, tmp_path: Path
) -> None:
    given: oh.Model | Path = model()
    if saved:
        model().save(tmp_path / "m.onnx")
        given = tmp_path / "m.onnx"
    with pytest.raises(oh.CredentialError, match=r"OH510.*'shop'.*'shp'.*did you mean 'shop'\?") as caught:
        oh.Session(given, credentials={"shp": TOKEN, "yolo": TOKEN})
    assert caught.value.node.endswith("till")
    assert TOKEN not in str(caught.value)


def test_a_name_that_is_like_none_of_the_model_s_is_not_repeated_since_it_may_be_the_token() -> None:
    with pytest.raises(oh.CredentialError, match=r"OH510.*'shop'") as caught:
        oh.Session(remote(), credentials={TOKEN: "shop"})
    assert TOKEN not in str(caught.value)


def test_sessions_may_share_credentials_that_one_of_them_does_not_need() -> None:
    shared: dict[str, str | oh.Secret] = {"shop": TOKEN, "shp": TOKEN, "yolo": oh.Secret(lambda: TOKEN)}
    for model in (remote(), in_a_branch(), dense("a", "x", "y", (3, 3)), remote("yolo")):
        oh.Session(model, credentials=shared)


def test_what_is_found_in_the_environment_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_MY_SHOP", TOKEN)
    oh.Session(remote("my-shop"), credentials={"yolo": TOKEN})
    for name, variable in OFFICIAL.items():
        monkeypatch.delenv(variable, raising=False)
        with pytest.raises(oh.CredentialError, match="OH510"):
            oh.Session(remote(name), credentials={"yolo": TOKEN})
        monkeypatch.setenv(variable, TOKEN)
        oh.Session(remote(name), credentials={"yolo": TOKEN})


def test_the_official_variables_are_those_of_the_library() -> None:
    source = Path(__file__).parent.parent / "native" / "src" / "session" / "official.rs"
    pairs = re.findall(r'credential: "(\w+)",\s+variable: "(\w+)"', source.read_text(encoding="utf-8"))
    assert dict(pairs) == OFFICIAL


@pytest.mark.parametrize("credentials", [None, {}])
def test_a_session_without_credentials_opens_and_only_the_call_that_needs_one_fails(
    credentials: dict[str, str] | None,
) -> None:
    session = oh.Session(in_a_branch(), credentials=credentials)
    session.run(None, {"x": X, "c": np.array(True)})
    with pytest.raises(oh.CredentialError, match="OH510"):
        session.run(None, {"x": X, "c": np.array(False)})


def test_a_replay_needs_no_credential_and_a_record_is_not_begun_for_a_session_that_does_not_open(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tape"
    with oh.endpoint.serve({"m": dense("a", "x", "y", (3, 3))}) as server:
        oh.Session(oh.remote.triton(server.url, "m"), record=path).run(None, {"x": X})
    before = path.read_bytes()
    with pytest.raises(oh.CredentialError, match="OH510"):
        oh.Session(remote(), credentials={"shp": TOKEN}, record=path)
    assert path.read_bytes() == before
    oh.Session(remote(), credentials={"shp": TOKEN}, replay=path)


def test_options_that_are_registered_for_any_model_take_any_names() -> None:
    oh.register(onnxruntime.SessionOptions(), credentials={"shp": TOKEN})
