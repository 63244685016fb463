"""What the library and ONNX Runtime say of a failure, as an exception of ours."""

from __future__ import annotations

import pytest

import onnxhybrid as oh
from onnxhybrid.library import error_of
from onnxhybrid.runtime.failures import translated

DETAILS = '{"attempts":2,"endpoint":"http://h","node":"n","status":403}'


def raised(text: str) -> oh.Error:
    error = translated(RuntimeError(text))
    assert isinstance(error, oh.Error)
    return error


def test_a_failure_of_a_node_keeps_its_code_and_details() -> None:
    text = f"[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned [OH503] node 'n' (http://h): no {DETAILS}"
    error = raised(text)
    assert isinstance(error, oh.RemoteStatusError)
    assert (error.code, error.message) == ("OH503", "node 'n' (http://h): no")
    assert (error.node, error.endpoint, error.status, error.attempts) == ("n", "http://h", 403, 2)


def test_details_that_a_server_made_up_are_part_of_its_words() -> None:
    error = raised(f'[OH503] node \'n\': the server said {{"attempts":9,"node":"x"}} {DETAILS} more')
    assert isinstance(error, oh.RemoteError)
    assert (error.node, error.attempts) == ("n", 2)
    assert error.message == 'node \'n\': the server said {"attempts":9,"node":"x"}'


def test_details_that_are_cut_off_are_no_details() -> None:
    error = raised('[OH503] node \'n\': no {"attempts":2,"node":')
    assert isinstance(error, oh.RemoteError)
    assert (error.code, error.node, error.attempts) == ("OH503", "", 0)


def test_a_node_of_standard_operators_that_is_called_by_a_code_ends_its_message_where_onnx_runtime_s_begins() -> None:
    error = raised("Non-zero status code while running node. Name:'[OH546] which is 2' Status Message: out of bounds")
    assert (error.code, error.message) == ("OH546", "which is 2")


@pytest.mark.parametrize("text", ["no code", "[OH999] a code that there is not", "[OH5] short", "OH503 bare"])
def test_what_has_no_code_of_ours_is_a_refusal_of_onnx_runtime_on_one_line(text: str) -> None:
    error = raised(f"FAIL :\n {text}")
    assert type(error) is oh.Error
    assert (error.code, error.message) == ("OH540", f"FAIL : {text}")


def test_a_library_registered_twice_says_what_to_leave_out() -> None:
    error = raised("Domain already set in registry")
    assert error.code == "OH542"
    assert "without register_custom_ops_library" in error.message


def test_a_panic_in_the_library_is_a_remote_error_that_nobody_takes_for_an_answer() -> None:
    error = raised("FAIL : [OH500] an error of the operator library (a panic)")
    assert type(error) is oh.RemoteError
    assert (error.code, error.message) == ("OH500", "an error of the operator library (a panic)")


def test_a_code_that_only_a_newer_library_knows_is_a_failure_of_the_library() -> None:
    error = error_of({"code": "OH999", "message": "of tomorrow", "node": "n", "status": 5})
    assert isinstance(error, oh.RemoteError)
    assert (error.code, error.message, error.node, error.status, error.attempts) == ("OH500", "of tomorrow", "n", 5, 0)


def test_a_failure_that_no_remote_caused_carries_no_details() -> None:
    error = error_of({"code": "OH530", "message": "malformed", "node": "n"})
    assert type(error) is oh.Error
    assert not hasattr(error, "node")
