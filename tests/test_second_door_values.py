"""Every kind of hybrid through the execution provider, from several languages: it gives what `oh.Session` gives."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnxruntime
import pytest

from tests import bindings, second_door
from tests.bindings import c, go, java, rust
from tests.bindings.given import FED
from tests.bindings.hybrids import Hybrid
from tests.bindings.suite import NAMES, Suite, difference, differences, folder_of, hybrids, made, served

BINDINGS = {"C": c, "Java": java, "Go": go, "Rust": rust}
SESSION = "entry\tonnxhybrid.session\t"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with served() as servers:
        yield made(tmp_path_factory.mktemp("suite") / "set", servers)


@pytest.fixture(scope="module")
def known(suite: Suite) -> Mapping[str, Hybrid]:
    """What each file of the set was made of."""
    return hybrids(suite.servers)


def as_options(line: str, folder: Path) -> str:
    """A line of a list whose settings are options of the execution provider; what was in a file still is."""
    if not line.startswith(SESSION):
        return line
    text = line.removeprefix(SESSION).strip()
    path = Path(text.removeprefix("@").replace("{set}", str(folder))) if text.startswith("@") else None
    parts = {name: json.dumps(given) for name, given in json.loads(path.read_text() if path else text).items()}
    if path is not None:
        for name, part in parts.items():
            path.with_suffix(f".{name}").write_text(part)
            parts[name] = f"@{path.with_suffix(f'.{name}')}"
    return "".join(f"entry\t{name}\t{part}\n" for name, part in parts.items())


@pytest.fixture(scope="module")
def with_options(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """The set, whose lists give the settings of sessions as options."""
    folder = tmp_path_factory.mktemp("set") / "set"
    shutil.copytree(suite.folder, folder)
    for name in ("jobs", "together", "leaving"):
        lines = (folder / name).read_text("utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(as_options(line, folder) for line in lines), "utf-8")
    return dataclasses.replace(suite, folder=folder)


@pytest.fixture(scope="module", params=BINDINGS)
def elsewhere(
    request: pytest.FixtureRequest, with_options: Suite, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What differs once another program has run the set, sixteen sessions at once and one that is left included."""
    binding = BINDINGS[request.param]
    if missing := binding.unsupported():
        pytest.skip(f"no {request.param} here: {missing}")
    results = tmp_path_factory.mktemp("results")
    with_options.run(binding.through_provider(tmp_path_factory.mktemp("program")), results)
    return differences(with_options, results)


@pytest.mark.parametrize("name", [name for name in NAMES if name != FED])
def test_a_file_gives_through_the_second_door_what_it_gives_through_the_first_from_other_languages(
    elsewhere: dict[str, str], name: str
) -> None:
    assert elsewhere.get(name) is None


def test_sessions_with_credentials_policies_and_thresholds_of_their_own_stand_side_by_side(
    elsewhere: dict[str, str],
) -> None:
    assert {name: text for name, text in elsewhere.items() if name.startswith("together")} == {}


def test_an_input_that_may_be_left_out_can_be_fed_through_the_second_door_where_the_binding_lets_it(
    elsewhere: dict[str, str],
) -> None:
    # Java says so itself, before ONNX Runtime is asked.
    assert FED not in elsewhere or "Unexpected number of inputs" in elsewhere[FED]


def ran(suite: Suite, name: str, hybrid: Hybrid, results: Path) -> None:
    """Run a hybrid in a plain session, and write what comes out as other languages' programs do."""
    given = json.dumps(hybrid.settings or {}).replace("{set}", str(suite.folder))
    options = second_door.options(**json.loads(given))
    lent = {key: onnxruntime.OrtValue.ortvalue_from_numpy(value) for key, value in hybrid.defaults.items()}
    for initializer, value in lent.items():
        options.add_initializer(initializer, value)
    try:
        session = onnxruntime.InferenceSession(str(suite.folder / "models" / f"{folder_of(name)}.onnx"), options)
        outputs = session.run(None, dict(hybrid.feeds))
    except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
        (results / "error").write_text(str(problem))
        return
    named = dict(zip([output.name for output in session.get_outputs()], outputs, strict=True))
    (results / "outputs").write_text("".join(bindings.write(results, "", named, root=results)))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_through_the_second_door_what_it_gives_through_the_first(
    suite: Suite, known: Mapping[str, Hybrid], name: str, tmp_path: Path
) -> None:
    ran(suite, name, known[name], tmp_path)
    assert difference(suite.expected[name], tmp_path) is None
