"""Recipes: what YAML says is what Python says, word for word, and a file gives its recipe back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jsonschema
import onnx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid import recipe
from onnxhybrid.model.recipe_entry import RECIPE
from onnxhybrid.recipe.forms import class_form
from onnxhybrid.recipe.marked import dumped, marked
from onnxhybrid.recipe.recipe import Recipe
from onnxhybrid.recipe.words import COMPARISONS, METHODS, words
from onnxhybrid.recipe.words import settings as common_settings
from tests.recipes import CLOUD, JUDGES, PAIRS, SURE, cloud, indented, models, with_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    models(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_recipe(model: oh.Model) -> onnx.ModelProto:
    proto = model.to_proto()
    kept = [entry for entry in proto.metadata_props if entry.key != RECIPE]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    return proto


def composed(text: str, folder: Path | None = None) -> oh.Model:
    return Recipe.of(text, folder=folder or ".").model()


@pytest.mark.parametrize(("text", "python"), PAIRS.values(), ids=PAIRS)
def test_a_recipe_makes_the_very_model_that_python_makes(text: str, python: Callable[[], oh.Model]) -> None:
    assert without_recipe(composed(text)) == without_recipe(python())


@pytest.mark.parametrize(("text", "python"), JUDGES.values(), ids=JUDGES)
def test_a_judge_judges_in_a_cascade(text: str, python: Callable[[], oh.Model]) -> None:
    whole = f"cascade:\n  local: {{load: small.onnx}}\n  remote: {{load: large.onnx}}\n  accept:\n{indented(text)}"
    expected = oh.cascade(oh.load("small.onnx"), oh.load("large.onnx"), accept=python())
    assert without_recipe(composed(whole)) == without_recipe(expected)


def test_everything_nests() -> None:
    text = f"""
select:
  outputs: [cloud/label]
  model:
    parallel:
      edge: {{load: small.onnx}}
      cloud:
        fallback:
          primary:
            cascade:
              local: {{chain: {{models: [{{load: scale.onnx}}, {{load: small.onnx}}], connect: {{image: scaled}}}}}}
              remote:
{indented(CLOUD, 16)}
              {SURE}
          backup: {{switch: {{condition: wanted, then: {{load: small.onnx}}, else_: {{load: large.onnx}}}}}}
"""
    local = oh.chain(oh.load("scale.onnx"), oh.load("small.onnx"), connect={"image": "scaled"})
    cascade = oh.cascade(local, cloud(), accept=oh.judge.max_probability("probabilities") >= 0.8)
    inner = oh.fallback(cascade, oh.switch("wanted", oh.load("small.onnx"), oh.load("large.onnx")))
    whole = oh.parallel(edge=oh.load("small.onnx"), cloud=inner).select(["cloud/label"])
    assert without_recipe(composed(text)) == without_recipe(whole)


Pair = tuple[dict[str, Any], Callable[[], oh.Model]]

DIGITS = {"url": "https://gpu.example", "model": "digits"}


def nested(parts: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Compositions of classifiers that are classifiers again."""

    def switch(one: Pair, other: Pair, name: str) -> Pair:
        data = {"switch": {"condition": name, "then": one[0], "else_": other[0]}}
        return data, lambda: oh.switch(name, one[1](), other[1]())

    def cascade(one: Pair, other: Pair, limit: float, rows: bool) -> Pair:
        accept = {"judge.margin": {"tensor": "probabilities", ">=": limit}}
        data = {"cascade": {"local": one[0], "remote": other[0], "accept": accept, "rows": rows}}
        judge = oh.judge.margin("probabilities") >= limit
        return data, lambda: oh.cascade(one[1](), other[1](), accept=judge, rows=rows)

    def fallback(one: Pair, other: Pair) -> Pair:
        return {"fallback": {"primary": one[0], "backup": other[0]}}, lambda: oh.fallback(one[1](), other[1]())

    def select(one: Pair) -> Pair:
        names = ["probabilities", "label"]
        return {"select": {"model": one[0], "outputs": names}}, lambda: one[1]().select(names)

    return st.one_of(
        st.builds(switch, parts, parts, st.sampled_from(["a", "b"])),
        st.builds(cascade, parts, parts, st.sampled_from([0.25, 0.5]), st.booleans()),
        st.builds(fallback, parts, parts),
        st.builds(select, parts),
    )


LEAVES = st.sampled_from(
    [
        ({"load": "small.onnx"}, lambda: oh.load("small.onnx")),
        ({"load": "large.onnx"}, lambda: oh.load("large.onnx")),
        (yaml.safe_load(CLOUD), cloud),
    ]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=st.recursive(LEAVES, nested, max_leaves=5))
def test_whatever_nests_is_the_same_as_in_python(pair: Pair) -> None:
    data, python = pair
    try:
        expected = without_recipe(python())
    except oh.Error as problem:
        with pytest.raises(type(problem), match=problem.code):
            composed(dumped(data))
    else:
        assert without_recipe(composed(dumped(data))) == expected


def test_every_word_is_compared_with_python() -> None:
    assert {name.split(" ")[0] for name in PAIRS} == set(words())


def test_every_function_of_python_that_gives_a_model_is_a_word() -> None:
    combinators = {
        "cascade",
        "chain",
        "ensemble",
        "fallback",
        "load",
        "offload",
        "overlap",
        "parallel",
        "route",
        "splice",
    }
    assert combinators | {"split", "switch"} <= set(oh.__all__)
    public = {name: getattr(oh, name) for name in oh.__all__ if inspect.isfunction(getattr(oh, name))}
    given = {name: get_type_hints(function).get("return") for name, function in public.items()}
    functions = {name for name, kind in given.items() if kind in (oh.Model, tuple[oh.Model, oh.Model])}
    known = {word.partition(".")[0] if word.startswith("split.") else word for word in words()}
    assert functions <= known
    builders = {f"remote.{name}" for name in oh.remote.__all__ if inspect.isfunction(getattr(oh.remote, name))}
    judges = {f"judge.{name}" for name in oh.judge.__all__ if name != "learned"}  # of an object that is fitted
    migration = {f"legacy.{name}" for name in oh.legacy.__all__}
    assert builders | judges | migration <= set(words())
    editing = {
        name for name in dir(oh.Model) if not name.startswith("_") and inspect.isfunction(getattr(oh.Model, name))
    }
    assert editing - {"save", "tensors", "to_proto"} == set(METHODS)


@pytest.mark.parametrize("name", [name for name in words() if name.startswith("remote.")])
def test_every_option_of_a_builder_can_be_given_in_a_recipe(name: str) -> None:
    builder = getattr(oh.remote, name.removeprefix("remote."))
    own = set(inspect.signature(builder).parameters) - {"common"}
    assert set(words()[name].arguments) == own | set(common_settings())


def classes(kind: Any) -> set[type]:
    """The classes of onnxhybrid, other than Model, that an annotation speaks of."""
    if isinstance(kind, type) and kind.__module__.startswith("onnxhybrid"):
        return {kind} - {oh.Model}
    return set().union(*map(classes, get_args(kind)))


CLASSES = sorted(
    set().union(*(classes(argument.kind) for word in words().values() for argument in word.arguments.values())),
    key=lambda kind: kind.__name__,
)


def test_what_arguments_speak_of_is_found() -> None:
    assert {oh.Credential, oh.Endpoint, oh.Hedge, oh.Input, oh.TensorSpec} <= set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_option_of_a_class_can_be_given_in_a_recipe(kind: type) -> None:
    names = {field.alias for field in class_form(kind).model_fields.values()}
    assert names == set(inspect.signature(kind).parameters)


@pytest.mark.parametrize("text", [text for text, _ in PAIRS.values()], ids=PAIRS)
def test_the_schema_accepts_what_can_be_composed(text: str) -> None:
    jsonschema.Draft202012Validator(recipe.schema()).validate(marked(text, "r").data)


@pytest.mark.parametrize(
    "text",
    [
        "load: 3",
        "laod: small.onnx",
        "{load: small.onnx, chain: []}",
        "{}",
        "cascade: {local: {load: a}, remote: {load: b}}",
        with_settings("retries: many"),
        with_settings("timeot: 3"),
        "cast: {model: {load: a}, dtypes: [a]}",
    ],
)
def test_the_schema_refuses_what_cannot_be_composed(text: str) -> None:
    assert not jsonschema.Draft202012Validator(recipe.schema()).is_valid(yaml.safe_load(text))
    with pytest.raises(oh.Error, match=r"OH71[23]"):
        composed(text)


def test_the_schema_says_what_the_docstrings_say() -> None:
    (cascade,) = [each for each in recipe.schema()["$defs"].values() if each.get("title") == "cascade"]
    assert cascade["description"].startswith("Run `local`; what the judge accepts")
    assert cascade["properties"]["rows"]["description"].startswith("send the refused rows only")
    assert cascade["properties"]["rows"]["default"] is False
    (triton,) = [each for each in recipe.schema()["$defs"].values() if each.get("title") == "remote.triton"]
    assert triton["properties"]["outputs"]["description"].startswith("what it takes and gives")


def test_the_schema_is_one_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(recipe.schema())


def test_paths_are_relative_to_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "r.yaml").write_text("load: ../small.onnx")
    monkeypatch.chdir("/")
    assert recipe.compose(tmp_path / "recipes" / "r.yaml").outputs == oh.load(tmp_path / "small.onnx").outputs


@pytest.mark.parametrize("external", [True, False])
def test_a_composed_file_gives_its_recipe_back_without_comments(tmp_path: Path, external: bool) -> None:
    text = f"# my key is sk-1\ncascade:\n  local: {{load: small.onnx}}\n  remote:\n{indented(CLOUD)}  {SURE}\n"
    (tmp_path / "r.yaml").write_text(text)
    recipe.compose("r.yaml").save("hybrid.onnx", external_data=external)
    back = recipe.kept(oh.load("hybrid.onnx"))
    assert yaml.safe_load(back) == yaml.safe_load(text)
    assert "sk-1" not in back
    assert b"sk-1" not in (tmp_path / "hybrid.onnx").read_bytes()
    (tmp_path / "again.yaml").write_text(back)
    recipe.compose("again.yaml").save("again.onnx", external_data=external)
    assert without_recipe(oh.load("again.onnx")) == without_recipe(oh.load("hybrid.onnx"))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.retarget({"https://gpu.example": "https://b.example"}),
        lambda model: model.rename({"label": "class"}),
        lambda model: model.select(["label"]),
        lambda model: model.bind(threshold=0.3),
        lambda model: oh.switch("wanted", model, oh.load("small.onnx")),
        lambda model: oh.load("small.onnx"),
        lambda model: oh.load("small.onnx").with_metadata({RECIPE: "no JSON"}),
    ],
)
def test_a_model_that_is_no_longer_what_its_recipe_says_tells_none(change: Callable[[oh.Model], oh.Model]) -> None:
    accept = 'accept: {judge.max_probability: {tensor: probabilities, ">=": {Input: {name: threshold, default: 0.8}}}}'
    text = f"cascade:\n  local: {{load: small.onnx}}\n  remote:\n{indented(CLOUD)}  {accept}"
    with pytest.raises(oh.Error, match="OH714"):
        recipe.kept(change(composed(text)))


def test_metadata_alone_leaves_the_recipe_true() -> None:
    assert recipe.kept(composed("load: small.onnx").with_metadata({"owner": "me"})) == "load: small.onnx\n"


@pytest.mark.parametrize(
    ("text", "code", "place", "said"),
    [
        ("", "OH713", "line 1, column 1", "takes a model"),
        ("[]", "OH713", "line 1, column 1", "a list"),
        ("load", "OH713", "line 1, column 1", "load: FILE"),
        ("load: [", "OH710", "line 1, column 8", "expected the node content"),
        ("load:\n\tx", "OH710", "line 2, column 1", "cannot start any token"),
        ("load: a\nload: b", "OH711", "line 2, column 1", "second time"),
        ("load: &a small.onnx", "OH711", "line 1, column 7", "anchor &a"),
        ("chain: [&a {load: small.onnx}, *a]", "OH711", "line 1, column 9", "anchor &a"),
        ("load: *a", "OH711", "line 1, column 7", "alias *a"),
        ("load: !!str a", "OH711", "line 1, column 7", "tag"),
        ("!model\nload: a", "OH711", "line 1, column 1", "tag"),
        ("load: a\n---\nload: b", "OH711", "line 2, column 1", "second document"),
        ("? [a]\n: 1", "OH711", "line 1, column 3", "no text"),
        ("[" * 200 + "]" * 200, "OH711", "column 102", "levels"),
        ("load: \x07", "OH710", "line 1, column 7", "character"),
        ("laod: a", "OH712", "line 1, column 1", "did you mean 'load'"),
        ("load: a\nchain: []", "OH712", "line 2, column 1", "one word"),
        ("cascade:\n  local: {load: small.onnx}\n  remot: 1", "OH712", "line 3, column 3", "did you mean 'remote'"),
        ("cascade:\n  local: small.onnx", "OH713", "line 2, column 3", "load: FILE"),
        ("select:\n  model: {load: small.onnx}", "OH713", "line 1, column 1", "lacks 'outputs'"),
        ("load: 3", "OH713", "line 1, column 1", "a text, not a whole number"),
        ("load: {path: 3}", "OH713", "line 1, column 8", "a text, not a whole number"),
        ("load: null", "OH713", "line 1, column 1", "not nothing"),
        (with_settings("retries: '2'"), "OH713", "line 9, column 3", "a whole number, not a text"),
        (with_settings("auth: sk-123"), "OH713", "line 9, column 3", "{Credential: …} or {Input: …}, not a text"),
        (with_settings("timeout: -1"), "OH304", "line 2, column 1", "timeout is in seconds"),
        (with_settings("auth: {Credential: a b}"), "OH304", "line 9, column 10", "credential's name"),
        (with_settings("hedge: {after: 2}"), "OH304", "line 9, column 3", "quantile"),
        (with_settings("hedge: {aftr: 2}"), "OH712", "line 9, column 11", "did you mean 'after'"),
        ("ensemble: {models: [{load: small.onnx}], combine: means}", "OH713", "line 1, column 42", "'mean', 'max'"),
        ("ensemble: {models: [{load: small.onnx}], combine: 7}", "OH713", "line 1, column 42", "a text or a model"),
        ("load: absent.onnx", "OH100", "line 1, column 1", "cannot be read"),
        ("chain:\n  - load: small.onnx\n  - load: absent.onnx", "OH100", "line 3, column 5", "cannot be read"),
        ("chain: [{load: small.onnx}]", "OH205", "line 1, column 1", "two or more"),
        ("judge.value: label", "OH713", "line 1, column 1", 'as in ">=": 0.8'),
        ('judge.value: {tensor: x, ">=": 1, "<": 2}', "OH713", "line 1, column 1", "only one"),
        ("judge.value: {tensor: x, >=: 1}", "OH710", "line 1, column 26", "quotes"),
        ('judge.value: {tensor: x, ">=": a}', "OH713", "line 1, column 26", "a number or {Input: …}, not a text"),
        ('judge.value: {tensor: x, ">=": .nan}', "OH208", "line 1, column 1", "finite"),
        ('"&": [{judge.equals: {tensor: x, value: 1}}, {load: small.onnx}]', "OH208", "line 1, column 1", "bool"),
        (with_settings("timeout: soon"), "OH713", "line 9, column 3", "takes a number, not a text"),
        (with_settings("timeout: true"), "OH713", "line 9, column 3", "takes a number, not true or false"),
        (with_settings(f"timeout: 1{'0' * 390}"), "OH304", "line 2, column 1", "timeout"),
        ('"&": []', "OH208", "line 1, column 1", "two or more"),
        ("parallel: {}", "OH205", "line 1, column 1", "one or more"),
        ("parallel: {a: 3}", "OH713", "line 1, column 12", "takes a model"),
        (
            "retarget: {model: {load: small.onnx}, urls: {'http://a': 'http://b'}}",
            "OH116",
            "line 1, column 1",
            "no remote",
        ),
        ("bind: {model: {load: small.onnx}, values: {image: [[1]]}}", "OH111", "line 1, column 1", "image"),
        (
            "declare: {model: {load: small.onnx}, shapes: {image: [1.5]}}",
            "OH713",
            "line 1, column 55",
            "a whole number, not a number",
        ),
    ],
)
def test_a_fault_is_told_with_its_code_line_and_column(text: str, code: str, place: str, said: str) -> None:
    with pytest.raises(oh.Error) as caught:
        Recipe.of(text, name="r.yaml").model()
    assert caught.value.code == code
    assert caught.value.message.startswith("r.yaml, ")
    assert place in caught.value.message
    assert said in caught.value.message
    assert "sk-123" not in str(caught.value)


def test_an_error_of_a_function_keeps_its_class_and_details() -> None:
    with pytest.raises(oh.RemoteRefused) as caught:
        composed("remote.triton: {url: 'http://127.0.0.1:9', model: m, retries: 0}")
    assert caught.value.endpoint == "http://127.0.0.1:9"
    with pytest.raises(oh.ComposeError, match="line 1"):
        composed("ensemble: []")


@pytest.mark.parametrize(
    ("data", "said"), [(None, "No such file"), (b"load: \xff", "byte 6"), (b"#" * ((16 << 20) + 1), "16 MiB")]
)
def test_a_file_that_is_no_text_is_told(tmp_path: Path, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / "r.yaml").write_bytes(data)
    with pytest.raises(oh.Error, match="OH710") as caught:
        recipe.read(tmp_path / "r.yaml")
    assert said in str(caught.value)


def test_only_what_looks_like_a_number_or_a_bool_is_one() -> None:
    read = marked("[no, on, yes, 1:30, 2020-01-01, 1_000, 0x1F, 0o17, 1e3, .5, ~, null, true, '3', -7]", "r").data
    assert read == ["no", "on", "yes", "1:30", "2020-01-01", "1_000", 31, 15, 1000.0, 0.5, None, None, True, "3", -7]


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(data=PLAIN)
def test_data_is_read_as_it_was_written(data: object) -> None:
    assert marked(dumped(data), "r").data == data


def test_a_recipe_of_a_cascade_gives_its_sides(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(f"cascade:\n  local: {{load: small.onnx}}\n  remote:\n{indented(CLOUD)}  {SURE}")
    sides = recipe.read("r.yaml").sides()
    assert {name: bool(side.remotes) for name, side in sides.items()} == {"local": False, "remote": True}
    assert Recipe.of("load: small.onnx").sides() == {}


def test_comparisons_are_all_known() -> None:
    assert set(COMPARISONS) == {">=", ">", "<=", "<"}
