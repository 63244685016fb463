"""`oh.report`: what stands on the page, that it is the same for the same model, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import onnxhybrid as oh
from tests.command import typed
from tests.reported import calibrated, cascade, cloud, deep, hostile, nested, plain

VOID = {"meta", "wbr", "link", "br", "img", "input"}


class Reader(HTMLParser):
    """The texts of a page, and whether its elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)


def page_of(tmp_path: Path, model: Any, **given: Any) -> str:
    oh.report(model, tmp_path / "page.html", **given)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return re.sub(r"\s+", " ", "".join(reader.texts))


def test_a_page_tells_of_each_call_where_it_goes_how_and_with_which_credential(tmp_path: Path) -> None:
    model = nested()
    text = text_of(page_of(tmp_path, model))
    assert len(model.remotes) == 20
    for call in model.remotes:
        for told in (call.node, call.shown, call.protocol, call.model):
            assert told in text
    assert "deployment=blue" not in text  # what stands in a query may be a key
    assert "credential gpu-key" in text


def test_a_page_tells_what_leaves_the_device(tmp_path: Path) -> None:
    model = oh.cascade(plain(), cloud(), accept=oh.judge.max_probability("probabilities") >= oh.Input("threshold", 0.8))
    text = text_of(page_of(tmp_path, model))
    (flow,) = oh.egress(model)
    assert ", ".join(flow.decides) in text
    assert f"{flow.max_bytes:,}" in text if flow.max_bytes is not None else "unknown" in text


def test_a_model_that_calls_nobody_is_told_to_send_nothing(tmp_path: Path) -> None:
    assert "Nothing leaves the device" in text_of(page_of(tmp_path, plain()))


def test_findings_stand_on_the_page_with_what_to_do(tmp_path: Path) -> None:
    model = cloud("http://gpu.example")
    report = oh.validate(model)
    assert report.findings
    text = text_of(page_of(tmp_path, model))
    for finding in report:
        assert finding.code in text
        assert " ".join(finding.message.split())[:60] in text


def test_a_calibration_gives_its_promise_and_its_curve_and_the_files_certificate_is_told(tmp_path: Path) -> None:
    found = calibrated()
    page = page_of(tmp_path, found.model, calibration=found)
    text = text_of(page)
    assert found.promise in text
    assert found.certificate is not None
    assert found.certificate.data in text
    assert 'class="curve"' in page
    alone = text_of(page_of(tmp_path, found.model))
    assert found.certificate.data in alone
    assert "Read the curve" not in alone


def test_the_statistics_of_a_run_stand_on_the_page(tmp_path: Path) -> None:
    with oh.endpoint.serve({"digits": plain(1)}) as server:
        model = cloud(server.url, auth=None)
        session = oh.Session(model, policy=oh.Policy(budget={"calls": 100}))
        session.run(None, {"image": np.zeros((3, 64), np.float32)})
        stats = session.stats()
    text = text_of(page_of(tmp_path, model, stats=stats))
    assert "Statistics of a run" in text
    assert f"{stats[model.remotes[0].node].bytes_out:,} B" in text
    assert "99 calls" in text


@pytest.mark.parametrize("kind", ["html", "svg"])
@pytest.mark.parametrize("made", [plain, nested, hostile])
def test_the_same_model_gives_the_same_bytes_in_another_process(made: Any, kind: str, tmp_path: Path) -> None:
    made().save(tmp_path / "model.onnx")
    (tmp_path / "elsewhere").mkdir()
    oh.report(tmp_path / "model.onnx", tmp_path / f"one.{kind}")
    oh.report(oh.load(tmp_path / "model.onnx"), tmp_path / "elsewhere" / f"other.{kind}")
    code = f"import onnxhybrid as oh; oh.report('model.onnx', 'third.{kind}')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=_environment())
    one = (tmp_path / f"one.{kind}").read_bytes()
    assert one == (tmp_path / "elsewhere" / f"other.{kind}").read_bytes() == (tmp_path / f"third.{kind}").read_bytes()
    assert str(tmp_path).encode() not in one


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(oh.__file__).parents[1]), "TZ": "Asia/Tokyo"}


def test_the_map_alone_is_a_picture_that_reads_as_xml_with_a_title_and_needs_nothing(tmp_path: Path) -> None:
    oh.report(nested(), tmp_path / "map.svg")
    root = ET.parse(tmp_path / "map.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].tag.endswith("title")
    text = (tmp_path / "map.svg").read_text(encoding="utf-8")
    assert not re.search(r"<script|<image|<foreignObject|href|url\(|@import|\son\w+=", text)


def test_texts_of_a_model_are_no_markup(tmp_path: Path) -> None:
    page = page_of(tmp_path, hostile())
    text = text_of(page)  # every element is closed where it was opened
    assert "<script>stolen" in text
    assert page.count("<script") == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\u2066]", page)
    oh.report(hostile(), tmp_path / "map.svg")
    ET.parse(tmp_path / "map.svg")


def test_ten_thousand_nodes_and_three_hundred_calls_give_pages_of_bounded_size(tmp_path: Path) -> None:
    assert len(page_of(tmp_path, deep(10_000))) < 200_000
    many = oh.parallel(**{f"p{k}": cloud(f"https://h{k}.example") for k in range(300)})
    assert len(page_of(tmp_path, many)) < 700_000
    long = deep(3, name="x" * 100_000)
    assert len(page_of(tmp_path, long)) < 200_000


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"path": "page.pdf"}, "OH690"),
        ({"path": "page"}, "OH690"),
        ({"path": 3}, "OH690"),
        ({"path": "absent/page.html"}, "OH704"),
        ({"path": "folder.html"}, "OH704"),
        ({"path": "map.svg", "stats": {}}, "OH690"),
        ({"calibration": "found"}, "OH691"),
        ({"stats": 3}, "OH692"),
        ({"stats": {"remote": 3}}, "OH692"),
        ({"stats": {"elsewhere": oh.NodeStats()}}, "OH692"),
        ({"model_or_path": "absent.onnx"}, "OH100"),
        ({"model_or_path": 3}, "OH100"),
    ],
)
def test_what_makes_no_report_is_one_coded_error_and_no_file(
    given: dict[str, Any], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(oh.Error) as refusal:
        oh.report(**{"model_or_path": plain(), "path": "page.html", **given})
    assert refusal.value.code == code
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_what_stood_there_stays_where_a_report_fails(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("before")
    with pytest.raises(oh.Error):
        oh.report(plain(), tmp_path / "page.html", stats={"elsewhere": oh.NodeStats()})
    assert (tmp_path / "page.html").read_text() == "before"


def test_metadata_of_another_form_leaves_a_map_of_one_part(tmp_path: Path) -> None:
    deep_tree = '{"kind":"chain","parts":[{"label":"a","made of":' * 400 + "0" + "}]}" * 400
    for entry in (deep_tree, "[]", '{"kind": 3, "parts": {}}', '{"kind":"chain","parts":[{"label":["x"]}]}'):
        model = plain().with_metadata({"onnxhybrid.parts": entry, "onnxhybrid.certificate": "[" * 5000})
        assert "Map of its parts" in text_of(page_of(tmp_path, model))


def test_importing_onnxhybrid_imports_no_report() -> None:
    code = "import sys, onnxhybrid; assert not [m for m in sys.modules if 'reporting' in m]"
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment())


def test_a_call_that_no_part_names_is_still_on_the_map(tmp_path: Path) -> None:
    proto = cloud().to_proto()
    proto.graph.node[0].name = "elsewhere"
    parts = '{"kind":"chain","parts":[{"label":"a","graph":"g"},{"label":"b","graph":"h"}]}'
    helper.set_model_props(proto, {"onnxhybrid.parts": parts})
    oh.report(oh.Model.from_proto(proto), tmp_path / "map.svg")
    assert "https://gpu.example" in (tmp_path / "map.svg").read_text(encoding="utf-8")


def test_the_command_lines_page_is_that_of_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cascade().save("hybrid.onnx")
    for name in ("page.html", "map.svg"):
        ended = typed("inspect", "hybrid.onnx", "--report", name)
        assert (ended.code, ended.out, ended.err) == (0, f"{name}\n", "")
        oh.report("hybrid.onnx", f"other-{name}")
        assert Path(name).read_bytes() == Path(f"other-{name}").read_bytes()
    assert typed("inspect", "hybrid.onnx", "--report", "page.html", "--json").code == 2
    ended = typed("inspect", "hybrid.onnx", "--report", "page.pdf")
    assert (ended.code, "[OH690]" in ended.err) == (1, True)


def test_the_picture_of_the_page_about_reports_is_what_its_example_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    docs = Path(__file__).parent.parent / "docs"
    plain(0, name="classifier").save("small.onnx")
    example = re.findall(r"```python\n(.*?)```", (docs / "report.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    exec(compile(example, "report.md", "exec"), {})
    assert Path("hybrid.svg").read_bytes() == (docs / "images" / "hybrid.svg").read_bytes()


def test_nodes_without_names_are_counted_of_the_whole_and_of_no_part(tmp_path: Path) -> None:
    proto = plain().to_proto()
    for node in proto.graph.node:
        node.name = ""
    bare = oh.Model.from_proto(proto)
    made = oh.cascade(bare, cloud(), accept=oh.judge.max_probability("probabilities") >= 0.9)
    oh.report(made, tmp_path / "map.svg")
    assert " nodes: " not in (tmp_path / "map.svg").read_text(encoding="utf-8")
    oh.report(bare, tmp_path / "map.svg")
    assert "3 nodes: ArgMax, MatMul, Softmax" in (tmp_path / "map.svg").read_text(encoding="utf-8")
