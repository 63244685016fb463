"""The command line: each verb does what its function does, tells it on the right stream, and ends with its code."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
import yaml

import onnxhybrid as oh
from onnxhybrid import diagnostics, recipe, timing
from onnxhybrid.cli.verbs import VERBS
from onnxhybrid.model.recipe_entry import RECIPE
from tests.command import PROGRAM, started, typed
from tests.recipes import CLOUD, SURE, cloud, indented, models


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    models(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def served(folder: Path) -> Iterator[str]:
    with oh.endpoint.serve({"digits": "large.onnx"}) as endpoint:
        yield endpoint.url


NEVER = "accept: {judge.equals: {tensor: label, value: 99}}"


def hybrid(url: str = "https://gpu.example", accept: str = SURE) -> str:
    """A recipe file of a cascade; its name."""
    text = f"cascade:\n  local: {{load: small.onnx}}\n  remote:\n{indented(CLOUD)}  {accept}\n"
    Path("hybrid.yaml").write_text(text.replace("https://gpu.example", url))
    return "hybrid.yaml"


def document(*words: object) -> Any:
    """What a verb writes with --json, which is one document of standard JSON and all that it writes."""
    ended = typed(*words, "--json")
    assert (ended.code, ended.err) == (0, "")

    def refused(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    return json.loads(ended.out, parse_constant=refused)


# the program


def test_every_verb_has_a_page_of_help() -> None:
    for verb in VERBS:
        ended = typed(verb, "--help")
        assert (ended.code, ended.err) == (0, "")
        assert f"Usage: onnxhybrid {verb}" in ended.out


def test_the_help_lists_the_verbs_and_the_exit_codes() -> None:
    ended = typed("--help")
    assert set(VERBS) <= set(ended.out.split())
    assert "130" in ended.out


def test_without_a_word_the_help_is_shown_and_nothing_was_done() -> None:
    ended = typed()
    assert (ended.code, "Usage" in ended.out) == (2, True)


def test_the_version_is_told() -> None:
    assert typed("--version").out == f"onnxhybrid {oh.__version__}\n"


def test_the_help_imports_nothing_that_it_does_not_need() -> None:
    program = "import sys; from onnxhybrid.cli import main; main(['--help']); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()}
    assert not loaded & {"numpy", "onnx", "onnxruntime", "rich", "pydantic", "yaml"}
    assert "onnxhybrid.cli.running" not in done.stdout


def test_a_verb_imports_its_own_file_alone() -> None:
    program = "import sys; from onnxhybrid.cli import main; main(['explain', 'OH101']); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "onnxhybrid.cli.explaining" in done.stdout
    assert "onnxhybrid.cli.running" not in done.stdout
    assert "onnxruntime" not in done.stdout


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    hide = "import sys; sys.modules.update(dict.fromkeys(['typer'])); from onnxhybrid.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", hide, "explain", "OH101"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    [told] = done.stderr.splitlines()
    assert told.startswith("error: [OH551]")
    assert told.endswith('pip install "onnxhybrid[cli]"')


@pytest.mark.parametrize("name", ["pydantic", "yaml"])
def test_recipes_without_the_extra_say_what_to_install(name: str) -> None:
    hide = f"import sys; sys.modules['{name}'] = None; from onnxhybrid import recipe; "
    for call in ("recipe.compose('x.yaml')", "recipe.schema()"):
        done = subprocess.run([sys.executable, "-c", hide + call], capture_output=True, text=True, check=False)
        (told,) = [line for line in done.stderr.splitlines() if "[OH551]" in line]
        assert told.endswith('pip install "onnxhybrid[cli]"')


def test_the_installed_script_is_this_program() -> None:
    import configparser

    declared = configparser.ConfigParser(interpolation=None)
    declared.read(Path(__file__).parent.parent / "setup.cfg")
    name, _, place = declared["options.entry_points"]["console_scripts"].strip().partition(" = ")
    assert (name, place) == ("onnxhybrid", "onnxhybrid.cli:main")


@pytest.mark.parametrize(
    ("typed_so_far", "place", "offered"),
    [
        ("onnxhybrid va", 1, "validate"),
        ("onnxhybrid validate --ta", 2, "--target"),
        ("onnxhybrid deploy tr", 2, "triton"),
    ],
)
def test_shells_complete_verbs_and_options(typed_so_far: str, place: int, offered: str) -> None:
    ended = started(_ONNXHYBRID_COMPLETE="complete_bash", COMP_WORDS=typed_so_far, COMP_CWORD=str(place))
    assert offered in ended.out.split()


def test_a_script_of_completion_can_be_had() -> None:
    ended = started("--show-completion", "bash")
    assert (ended.code, "_ONNXHYBRID_COMPLETE" in ended.out) == (0, True)


def test_a_reader_that_goes_away_is_no_failure() -> None:
    with subprocess.Popen([*PROGRAM, "compose", "--schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.read(1)
        program.stdout.close()
        assert program.stderr.read() == b""
        assert program.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_behind_standard_output_is_one_message() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "explain", "OH101"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert re.fullmatch(r"error: \[OH704\] .*\n", done.stderr)


def test_nothing_is_coloured_in_a_pipe() -> None:
    for ended in (started("inspct"), started("--help"), started("explain", "OH101", FORCE_COLOR="1")):
        assert "\x1b" not in ended.out + ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of Unix")
@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_sees_colours_unless_they_are_unwanted(variables: dict[str, str], coloured: bool) -> None:
    assert ("\x1b[" in on_terminal("inspct", **variables)) is coloured


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of Unix")
def test_long_work_shows_what_is_left_on_a_terminal_and_only_there() -> None:
    words = ["run", "small.onnx", "--random", "image=1,64", "--repeat", "50"]
    assert "/50" in on_terminal(*words)
    assert started(*words).err == ""


def on_terminal(*words: str, **variables: str) -> str:
    """What a terminal sees on standard error."""
    import pty

    master, slave = pty.openpty()
    environment = {
        "TERM": "xterm",
        **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")},
        **variables,
    }
    with subprocess.Popen([*PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=slave, env=environment) as program:
        os.close(slave)
        seen = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:  # Linux says so where the other side is closed
                break
            if not piece:
                break
            seen += piece
        program.wait(timeout=60)
    os.close(master)
    return seen.decode()


def test_what_steers_a_terminal_is_shown_and_not_obeyed() -> None:
    oh.load("small.onnx").rename({"label": "a\x1b[2Jb", "image": "\x7f\x9b2J"}).save("odd.onnx")
    assert document("inspect", "odd.onnx")["outputs"][0]["name"] == "a\x1b[2Jb"
    assert document("inspect", "odd.onnx")["inputs"][0]["name"] == "\x7f\x9b2J"
    ended = typed("inspect", "odd.onnx")
    assert "\x9b" not in ended.out
    assert "\x1b" not in ended.out
    assert r"a\x1b[2Jb" in ended.out


def test_warnings_are_lines_on_standard_error() -> None:
    Path("warned.yaml").write_text("remote.openai_chat: {model: m, url: 'http://127.0.0.1:9/v1'}")
    ended = typed("compose", "warned.yaml", "-o", "warned.onnx")
    assert ended.code == 0
    assert all(line.startswith("warning: [OH") for line in ended.err.splitlines())


# verbs


def test_explain_says_what_oh_explain_says() -> None:
    assert typed("explain", "[oh101]").out == oh.explain("OH101") + "\n"
    assert document("explain", "OH101")["fix"] == diagnostics.REGISTER["OH101"].fix


def test_compose_writes_what_the_recipe_says() -> None:
    ended = typed("compose", hybrid(), "-o", "hybrid.onnx")
    assert (ended.code, ended.out, ended.err) == (0, "hybrid.onnx\n", "")
    expected = oh.cascade(oh.load("small.onnx"), cloud(), accept=oh.judge.max_probability("probabilities") >= 0.8)
    expected.save("expected.onnx")
    assert [without_recipe(name) for name in ("hybrid.onnx", "expected.onnx")] == [expected.to_proto()] * 2


def without_recipe(path: str) -> onnx.ModelProto:
    proto = oh.load(path).to_proto()
    kept = [entry for entry in proto.metadata_props if entry.key != RECIPE]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    return proto


def test_compose_reads_standard_input() -> None:
    done = subprocess.run(
        [*PROGRAM, "compose", "-", "-o", "out.onnx"], input="load: small.onnx", text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert oh.load("out.onnx").outputs == oh.load("small.onnx").outputs


def test_compose_writes_the_schema() -> None:
    ended = typed("compose", "--schema")
    assert json.loads(ended.out) == recipe.schema()


def test_a_composition_that_fails_leaves_the_file_as_it_was() -> None:
    Path("out.onnx").write_bytes(b"mine")
    Path("bad.yaml").write_text("chain: [{load: small.onnx}]")
    assert typed("compose", "bad.yaml", "-o", "out.onnx").code == 1
    assert Path("out.onnx").read_bytes() == b"mine"
    assert {path.name for path in Path().iterdir()} == {
        "small.onnx", "large.onnx", "scale.onnx", "is_large.onnx", "out.onnx", "bad.yaml",
    }  # fmt: skip


def test_inspect_gives_the_recipe_back() -> None:
    typed("compose", hybrid(), "-o", "hybrid.onnx")
    ended = typed("inspect", "hybrid.onnx", "--yaml")
    assert yaml.safe_load(ended.out) == yaml.safe_load(Path("hybrid.yaml").read_text())


def test_inspect_shows_parts_remotes_and_sizes() -> None:
    typed("compose", hybrid("https://gpu.example?key=s3cret"), "-o", "hybrid.onnx")
    ended = typed("inspect", "hybrid.onnx")
    assert "└─ remote: digits" in ended.out
    assert "sends image; receives label, probabilities" in ended.out
    assert "s3cret" not in ended.out + typed("inspect", "hybrid.onnx", "--json").out
    told = document("inspect", "hybrid.onnx")
    assert told["bytes"] == Path("hybrid.onnx").stat().st_size
    assert told["weight_bytes"] == 64 * 10 * 4
    assert [part["label"] for part in told["parts"]["parts"]] == ["local", "judge", "remote"]
    assert [call["model"] for call in told["remotes"]] == ["digits"]
    assert "nothing leaves the device" in typed("inspect", "small.onnx").out


def test_inspect_self_tells_what_is_installed() -> None:
    told = document("inspect", "--self")
    import onnxruntime

    assert told["packages"]["onnxruntime"] == onnxruntime.__version__
    assert told["library"] == oh.library_path()
    assert (told["onnxhybrid"], told["problem"]) == (oh.__version__, "")
    assert "triton.http" in told["protocols"]


def test_inspect_self_tells_of_a_library_that_cannot_be_used() -> None:
    ended = started("inspect", "--self", ONNXHYBRID_LIBRARY="absent.so")
    assert ended.code == 0
    assert "absent.so does not exist" in ended.out


def test_validate_ends_with_one_where_there_is_a_finding() -> None:
    proto = oh.load("small.onnx").to_proto()
    proto.graph.node[0].domain = "com.example"
    Path("bad.onnx").write_bytes(proto.SerializeToString())
    ended = typed("validate", "small.onnx", "bad.onnx")
    assert (ended.code, ended.err) == (1, "")
    assert "small.onnx: no findings" in ended.out
    assert f"bad.onnx: [{oh.validate('bad.onnx').errors[0].code}]" in ended.out
    told = json.loads(typed("validate", "bad.onnx", "--json").out)
    assert (told["ok"], told["files"][0]["findings"]) == (False, oh.validate("bad.onnx").document()["findings"])


def test_validate_takes_a_target(folder: Path) -> None:
    words = ["validate", "small.onnx", "--target", "opset 9"]
    expected = oh.validate("small.onnx", target="opset 9")
    assert document("validate", "small.onnx", "--target", "opset 18")["ok"]
    assert json.loads(typed(*words, "--json").out)["files"][0]["ok"] is bool(expected)


def test_validate_writes_sarif_that_names_files_codes_and_places() -> None:
    Path("text.onnx").write_text("hello")
    ended = typed("validate", "text.onnx", "small.onnx", "--sarif")
    assert ended.code == 1
    told = json.loads(ended.out)
    jsonschema.Draft202012Validator(SARIF).validate(told)
    [result] = told["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("OH100", "error")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "text.onnx"
    [rule] = told["runs"][0]["tool"]["driver"]["rules"]
    assert rule["id"] == "OH100"


TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "required": ["tool", "results"],
                "properties": {
                    "tool": {"required": ["driver"], "properties": {"driver": {"required": ["name"]}}},
                    "results": {
                        "type": "array",
                        "items": {
                            "required": ["ruleId", "message", "level"],
                            "properties": {"message": TEXT, "level": {"enum": ["error", "warning", "note", "none"]}},
                        },
                    },
                },
            },
        },
    },
}
"""What of SARIF 2.1.0 (section 3) a reader of findings needs."""


def test_validate_asks_servers_where_it_is_told_to(served: str) -> None:
    typed("compose", hybrid(served), "-o", "hybrid.onnx")
    assert typed("validate", "hybrid.onnx", "--online").code == 0
    typed("retarget", "hybrid.onnx", f"{served}=http://127.0.0.1:9", "-o", "lost.onnx")
    assert typed("validate", "lost.onnx").code == 0
    assert typed("validate", "lost.onnx", "--online").out != typed("validate", "lost.onnx").out


def test_run_gives_what_a_session_gives() -> None:
    image = np.random.default_rng(3).random((3, 64), np.float32)
    np.save("image.npy", image)
    told = document("run", "small.onnx", "--input", "image=image.npy", "--repeat", "3", "--save", "out.npz")
    expected = oh.Session("small.onnx").run(None, {"image": image})
    assert told["outputs"]["label"] == {"dtype": "int64", "shape": [3], "data": expected[0].tolist()}
    assert len(told["seconds"]) == 3
    with np.load("out.npz") as saved:
        np.testing.assert_array_equal(saved["probabilities"], expected[1])


def test_run_writes_what_is_no_number_as_null() -> None:
    Path("image.json").write_text(json.dumps([[1e38] * 64]))
    told = document("run", "scale.onnx", "--value", f"image={json.dumps([[float('nan')] * 64])}")
    assert told["outputs"]["scaled"]["data"] == [[None] * 64]


def test_run_calls_servers_and_tells_of_it(served: str) -> None:
    typed("compose", hybrid(served, NEVER), "-o", "hybrid.onnx")
    told = document("run", "hybrid.onnx", "--random", "image=2,64", "--repeat", "2")
    [calls] = told["remotes"].values()
    assert calls["calls"] == 2
    assert calls["errors"] == {}
    assert "2 calls" in typed("run", "hybrid.onnx", "--random", "image=2,64", "--repeat", "2").out


def test_run_takes_credentials_by_name_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with oh.endpoint.serve({"digits": "large.onnx"}, token="s3cret") as endpoint:
        cloud(auth=oh.Credential("gpu")).retarget({"https://gpu.example": endpoint.url}).save("cloud.onnx")
        words = ["run", "cloud.onnx", "--random", "image=1,64"]
        monkeypatch.setenv("MY_TOKEN", "s3cret")
        assert typed(*words, "--credential", "gpu=MY_TOKEN").code == 0
        monkeypatch.setenv("MY_TOKEN", "wrong")
        assert "OH503" in typed(*words, "--credential", "gpu=MY_TOKEN").err
        monkeypatch.setenv("ONNXHYBRID_CREDENTIAL_GPU", "s3cret")
        ended = typed(*words, "--credential", "gpu")
    assert ended.code == 0
    assert "s3cret" not in ended.out + ended.err


def test_run_takes_urls_by_name(served: str) -> None:
    oh.remote.triton(oh.Endpoint("gpu"), "digits", inputs=cloud().inputs, outputs=cloud().outputs).save("cloud.onnx")
    assert typed("run", "cloud.onnx", "--random", "image=1,64", "--endpoint", f"gpu={served}").code == 0


def test_run_records_and_replays(served: str) -> None:
    cloud().retarget({"https://gpu.example": served}).save("cloud.onnx")
    first = document("run", "cloud.onnx", "--random", "image=1,64", "--record", "tape.jsonl")
    again = document("run", "cloud.onnx", "--random", "image=1,64", "--replay", "tape.jsonl")
    assert first["outputs"] == again["outputs"]


def test_bench_times_both_sides_of_a_recipe_beside_the_hybrid(served: str) -> None:
    told = document("bench", hybrid(served, NEVER), "--random", "image=1,64", "--repeat", "3")
    assert list(told) == ["local", "hybrid", "remote"]
    assert [each["calls"] for each in told.values()] == [0, 1, 1]
    assert all(0 < each["p50"] <= each["p99"] for each in told.values())


def test_bench_times_models_by_labels() -> None:
    ended = typed("bench", "small.onnx", "big=large.onnx", "--random", "image=1,64", "--repeat", "2")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[0] for line in ended.out.splitlines()[1:]] == ["small", "big"]


def test_retarget_moves_the_calls() -> None:
    cloud().save("cloud.onnx")
    assert typed("retarget", "cloud.onnx", "https://gpu.example=http://127.0.0.1:9", "-o", "moved.onnx").code == 0
    assert [call.endpoint for call in oh.load("moved.onnx").remotes] == ["http://127.0.0.1:9"]


def test_upgrade_and_export_are_those_of_legacy() -> None:
    speech = oh.remote.openai_audio(url="http://127.0.0.1:9/v1", auth=oh.Input("auth_token"), response_format="text")
    speech.save("speech.onnx")
    assert typed("export", "speech.onnx", "-o", "old.onnx").code == 0
    assert "com.microsoft.extensions" in oh.load("old.onnx").opsets
    assert typed("upgrade", "old.onnx", "-o", "new.onnx").code == 0
    assert len(oh.load("new.onnx").remotes) == 1


def test_deploy_writes_the_folders_of_oh_deploy() -> None:
    told = document("deploy", "triton", "small.onnx", "repository", "--name", "digits")
    assert told == {"folder": str(Path("repository/digits").absolute()), "files": ["1/model.onnx", "config.pbtxt"]}
    assert typed("deploy", "triton", "small.onnx", "repository", "--name", "digits").code == 1
    assert typed("deploy", "triton", "small.onnx", "repository", "--name", "digits", "--overwrite").code == 0
    told = document("deploy", "azureml", "small.onnx", "bundle", "--name", "digits", "--instance-count", "2")
    assert {"score.py", "endpoint.yml", "model/model.onnx"} <= set(told["files"])
    assert "instance_count: 2" in Path("bundle/deployment.yml").read_text()


@contextlib.contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The command line as a program, which has ended in any case afterwards."""
    with subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of Unix")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_endpoint_serves_until_it_is_told_to_end(number: signal.Signals, code: int) -> None:
    words = ["endpoint", "digits=large.onnx", "--json"]
    with running(*words) as program:
        assert program.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = program.stdout.readline()
            assert line, text
            text += line
        told = json.loads(text)
        cloud().retarget({"https://gpu.example": told["url"]}).save("cloud.onnx")
        assert typed("run", "cloud.onnx", "--random", "image=1,64").code == 0
        program.send_signal(number)
        rest, complaint = program.communicate(timeout=60)
    assert (program.returncode, rest, complaint) == (code, "", "")
    assert told["models"] == ["digits"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of Unix")
def test_ctrl_c_ends_a_run_that_waits_for_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        cloud().retarget({"https://gpu.example": url}).save("cloud.onnx")
        words = ["run", "cloud.onnx", "--random", "image=1,64", "--save", "out.npz"]
        server.settimeout(60)
        with running(*words) as program:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                program.send_signal(signal.SIGINT)
                out, err = program.communicate(timeout=60)
    assert (program.returncode, out, err) == (130, "", "")
    assert not Path("out.npz").exists()


def test_a_thread_may_run_the_command_line() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(typed("explain", "OH101").code))
    thread.start()
    thread.join()
    assert codes == [0]


def test_bench_refuses_an_endpoint_that_no_model_names(served: str) -> None:
    ended = typed("bench", hybrid(served), "--random", "image=1,64", "--endpoint", "gpu=http://127.0.0.1:9")
    assert (ended.code, "OH575" in ended.err) == (1, True)


def test_weights_go_where_they_are_told_to() -> None:
    Path("r.yaml").write_text("load: small.onnx")
    assert typed("compose", "r.yaml", "-o", "out.onnx", "--external-data", "yes").code == 0
    assert Path("out.onnx.data").stat().st_size == 64 * 10 * 4
    assert typed("compose", "r.yaml", "-o", "out.onnx", "--external-data", "maybe").code == 2


def test_a_policy_holds_for_a_run(served: str) -> None:
    cloud().retarget({"https://gpu.example": served}).save("cloud.onnx")
    words = ["run", "cloud.onnx", "--random", "image=1,64", "--allow"]
    assert typed(*words, "127.0.0.1").code == 0
    assert "OH52" in typed(*words, "gpu.example").err


LEFT_TO_PYTHON = {
    "run": {"policy", "sess_options", "providers"},
    "bench": {"policy", "sess_options", "providers", "told"},
    "score": {"policy", "sess_options", "providers", "replay", "progress"},
    "endpoint": {"token"},  # it comes from the environment, and never stands on a command line
}


@pytest.mark.parametrize(
    ("verb", "function"),
    [
        (("validate",), oh.validate),
        (("run",), oh.Session.__init__),
        (("score",), oh.score),
        (("bench",), timing.compare),
        (("endpoint",), oh.endpoint.serve),
        (("deploy", "azureml"), oh.deploy.azureml),
        (("deploy", "triton"), oh.deploy.triton),
        (("retarget",), oh.Model.retarget),
        (("compose",), oh.Model.save),
    ],
)
def test_no_argument_of_a_function_is_forgotten_by_its_verb(verb: tuple[str, ...], function: Any) -> None:
    text = re.sub(r"\s+", " ", typed(*verb, "--help").out).replace("--", "").replace("-", "_").lower()
    renamed = {"files": "file", "packages": "package", "credentials": "credential", "endpoints": "endpoint",
               "allow_hosts": "allow_host", "feeds": "input", "urls": "old=new", "models": "model",
               "model_or_path": "model.onnx", "path": "output",
               "columns": "column", "outputs": "only"}  # fmt: skip
    for name in set(inspect.signature(function).parameters) - LEFT_TO_PYTHON.get(verb[0], set()) - {"self", "session"}:
        assert renamed.get(name, name) in text, name
