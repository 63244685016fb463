"""The register of codes agrees with those who raise them, with the documentation and with the library."""

from __future__ import annotations

import ast
import pickle
import re
import sys
import traceback
from pathlib import Path

import pytest

import onnxhybrid as oh
from onnxhybrid import errors
from onnxhybrid.diagnostics import REGISTER, Finding, Report

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"OH\d{3}")
RAISED = re.compile(r"\[?(OH\d{3})(\] .*)?", re.DOTALL)


def texts_in(source: str) -> list[str]:
    """The texts of a Python module's code: neither comments nor docstrings nor other texts that nobody reads."""
    tree = ast.parse(source)
    idle = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in idle)
    return [node.value for node in constants if isinstance(node.value, str)]


def code_of_rust(source: str) -> str:
    """A Rust file without its comments and without the tests that end it."""
    return re.sub(r"//.*", "", source).partition("#[cfg(test)]")[0]


def variants(failure: str) -> dict[str, str]:
    """The codes by the names of the variants that `failure.rs` gives them."""
    return dict(re.findall(r'(\w+)\W+"(OH\d{3})"', code_of_rust(failure)))


def python_files(folder: str, *but: str) -> list[Path]:
    return [path for path in (ROOT / folder).rglob("*.py") if not {*but} & {*path.parts}]


def rust_files() -> list[Path]:
    return [path for path in (ROOT / "native" / "src").rglob("*.rs") if path.name not in ("failure.rs", "tests.rs")]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def raised_by_python() -> set[str]:
    texts = [text for path in python_files("onnxhybrid", "_codes") for text in texts_in(read(path))]
    return {match[1] for text in texts if (match := RAISED.fullmatch(text))}


def raised_by_rust() -> set[str]:
    named = variants(read(ROOT / "native" / "src" / "failure.rs"))
    sources = [code_of_rust(read(path)) for path in rust_files()]
    used = {name for source in sources for name in re.findall(r"\bCode::(\w+)", source)}
    return {code for name, code in named.items() if name in used}


def test_every_code_is_raised_somewhere() -> None:
    assert set(REGISTER) == raised_by_python() | raised_by_rust()


def test_the_library_s_codes_are_all_in_the_register() -> None:
    named = variants(read(ROOT / "native" / "src" / "failure.rs"))
    assert {"Internal", "Deadline", "Record"} <= named.keys()
    assert set(named.values()) <= set(REGISTER)


def test_every_code_that_is_named_anywhere_is_in_the_register() -> None:
    paths = [*python_files("onnxhybrid"), *python_files("samples"), *rust_files(), *(ROOT / "docs").glob("*.md")]
    assert {code for path in paths for code in CODE.findall(read(path))} <= set(REGISTER)


def test_every_code_is_covered_by_a_test() -> None:
    texts = [text for path in python_files("tests", Path(__file__).name) for text in texts_in(read(path))]
    assert set(REGISTER) - {code for text in texts for code in CODE.findall(text)} == set()


def test_neither_docstrings_nor_comments_nor_the_register_count_as_raising_or_covering() -> None:
    assert texts_in('"""OH101"""\nx = 5  # OH102\ndef f():\n    """OH103"""\n    raise E("OH104", f"OH105 {x}")\n') == [
        "OH104",
        "OH105 ",
    ]
    rust = "/// OH101\nfn f() -> Code { Code::Deadline } // Code::Status\n#[cfg(test)]\nmod tests { use Code::Record; }"
    assert re.findall(r"Code::(\w+)", code_of_rust(rust)) == ["Deadline"]
    assert variants('Code::Node => "OH301",\nRecord = "OH533", // Other = "OH999"') == {
        "Node": "OH301",
        "Record": "OH533",
    }


def test_every_code_is_documented() -> None:
    documented = set(CODE.findall((ROOT / "docs" / "errors.md").read_text(encoding="utf-8")))
    assert documented == set(REGISTER)


@pytest.mark.parametrize("code", sorted(REGISTER))
def test_every_code_says_what_it_means_and_what_to_do(code: str) -> None:
    row = REGISTER[code]
    assert issubclass(getattr(errors, row.raises), oh.Error)
    text = oh.explain(code)
    for part in (code, row.title, row.explanation, row.example, row.fix):
        assert part
        assert part in text


def test_explain_takes_a_code_as_it_stands_in_a_message() -> None:
    assert oh.explain("[oh201]") == oh.explain("OH201")
    with pytest.raises(ValueError, match="OH999"):
        oh.explain("OH999")


def test_an_error_with_an_unknown_code_cannot_be_made() -> None:
    with pytest.raises(LookupError):
        oh.Error("OH999", "no such code")


def test_errors_survive_pickling_with_their_details() -> None:
    error = oh.RemoteStatusError("OH503", "no", node="n", endpoint="http://h", status=401, attempts=2)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is oh.RemoteStatusError
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_a_report_is_true_as_long_as_it_holds_no_error() -> None:
    warned = Report.of([Finding("OH305", "plain http", "node 'a'")])
    failed = Report.of([*warned, Finding("OH105", "missing")])
    assert warned
    assert not failed
    assert [finding.code for finding in failed.errors] == ["OH105"]
    assert [finding.code for finding in failed.warnings] == ["OH305"]
    assert "OH105" in str(failed)
    assert '"ok": false' in failed.to_json()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tracebacks show no notes before Python 3.11")
def test_a_traceback_ends_with_the_way_to_the_explanation() -> None:
    try:
        oh.TensorSpec("x", "no dtype", ())
    except oh.Error as error:
        shown = "".join(traceback.format_exception(error)).rstrip()
        assert shown.endswith(f'oh.explain("{error.code}")')
        assert str(error) == f"[{error.code}] {error.message}"
    else:
        pytest.fail("it was no error")
