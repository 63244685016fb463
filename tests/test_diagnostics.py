"""The register of codes agrees with those who raise them, with the documentation and with the library."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

import onnxhybrid as oh
from onnxhybrid import errors
from onnxhybrid.diagnostics import REGISTER, Finding, Report

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"OH\d{3}")


def _codes_in(folder: str, pattern: str, *, but: str = "") -> set[str]:
    """The codes in the files of a folder, but for those that are called `but` or lie in a folder of that name."""
    paths = [path for path in (ROOT / folder).rglob(pattern) if but not in path.parts]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return {code for text in texts for code in CODE.findall(text)}


def test_every_code_is_raised_somewhere() -> None:
    raisers = _codes_in("onnxhybrid", "*.py", but="_codes") | _codes_in("native/src", "*.rs")
    assert set(REGISTER) <= raisers


def test_every_code_that_is_used_is_in_the_register() -> None:
    used = _codes_in("onnxhybrid", "*.py") | _codes_in("native/src", "*.rs")
    assert used <= set(REGISTER)


def test_every_code_is_covered_by_a_test() -> None:
    covered = _codes_in("tests", "*.py", but="test_diagnostics.py") | _codes_in("native", "*.rs")
    assert set(REGISTER) <= covered


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
