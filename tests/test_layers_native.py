"""The native sources have an order: no circle, rooms that look down only, one room that trusts pointers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rust_imports import Crate, circles, code

SOURCE = Path(__file__).parent.parent / "native" / "src"


@pytest.fixture(scope="module")
def crate() -> Crate:
    return Crate(SOURCE)


def test_no_two_files_import_each_other_in_a_circle(crate: Crate) -> None:
    assert circles(crate.imports()) == []


ORDER = (
    {"host"},
    {"call"},
    {"session", "node", "protocol", "transport"},
    {"run", "guard", "ort", "trace"},
    {"attributes", "tensor", "shape", "element", "endpoint", "failure"},
)
"""The rooms, from the doors to the plain data; what stands together may import each other, file by file."""


def test_rooms_import_none_that_stand_above_them(crate: Crate) -> None:
    level = {room: index for index, rooms in enumerate(ORDER) for room in rooms}
    rooms = {name: name.split("/")[0].removesuffix(".rs") for name in crate.files}
    assert set(rooms.values()) - {"lib"} <= set(level)
    upward = [
        (name, target)
        for name, targets in crate.imports().items()
        for target in targets
        if name != "lib.rs" and level[rooms[target]] < level[rooms[name]]
    ]
    assert upward == []


def test_pointers_are_trusted_in_one_room_alone(crate: Crate) -> None:
    trusting = {name for name in crate.files if re.search(r"\bunsafe\b", code((SOURCE / name).read_text("utf-8")))}
    assert {name.split("/")[0] for name in trusting} == {"ort"}


def test_no_file_is_too_long_to_be_read_at_a_sitting() -> None:
    sources = [path for folder in ("src", "tests", "benches") for path in (SOURCE.parent / folder).rglob("*.rs")]
    lengths = {str(path.relative_to(SOURCE.parent)): len(path.read_text("utf-8").splitlines()) for path in sources}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def made(folder: Path, files: dict[str, str]) -> Crate:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Crate(folder)


@pytest.mark.parametrize(
    "back",
    [
        "use crate::a::A;",
        "use super::a::A;",
        "use super::{a::A};",
        "use crate::{a::{self}};",
        "fn f() { let _: crate::a::A; }",
        "fn f() { super::a::f::<crate::C>(); }",
        "use crate::a as other; fn f() { other::f(); }",
        "use crate::A;",
        "use crate::facade::A as Other;",
        "use crate::facade::*; fn f(_: A) {}",
        "fn f() { crate::facade::A::new(); }",
        "#[cfg(test)] mod tests { use super::super::a::A; }",
        "#[cfg(test)] mod tests { use crate::a::A; }",
        "mod inner { pub fn f() { super::super::a::f(); } }",
        "macro_rules! m { () => { $crate::a::f() }; }",
    ],
)
def test_a_circle_is_found_however_it_is_written(tmp_path: Path, back: str) -> None:
    files = {
        "lib.rs": "mod a; mod b; mod facade; pub use a::A;",
        "a.rs": "use crate::b::B; pub struct A; pub fn f() {}",
        "b.rs": f"{back} pub struct B;",
        "facade/mod.rs": "pub use crate::a::{A};",
    }
    assert circles(made(tmp_path, files).imports()) == [["a.rs", "b.rs"]]


def test_a_long_circle_is_found_in_folders(tmp_path: Path) -> None:
    files = {
        "lib.rs": "pub mod a; pub mod room;",
        "a.rs": "use crate::room::{Top, deep::Deep};",
        "room/mod.rs": "pub mod deep; mod top; pub use top::Top;",
        "room/top.rs": "pub struct Top;",
        "room/deep.rs": "use super::other::Other; pub struct Deep;",
        "room/other.rs": "use crate::a; pub struct Other; fn f() { a::f() }",
    }
    assert circles(made(tmp_path, files).imports()) == [["a.rs", "room/deep.rs", "room/other.rs"]]


@pytest.mark.parametrize(
    "harmless",
    [
        "// use crate::a::A;",
        "/* use crate::a::A; */",
        'const TEXT: &str = "use crate::a::A;";',
        'const TEXT: &str = r#"crate::a::A"#;',
        "const QUOTE: char = '\"'; const OTHER: char = '\"';",
        "#[cfg(test)] mod tests { use super::*; fn f(_: B) {} }",
        "use std::a::A; use a_crate::b;",
        "fn a() {} fn f() { a(); }",
        "pub mod a_module {}",
    ],
)
def test_what_is_no_import_makes_no_circle(tmp_path: Path, harmless: str) -> None:
    files = {"lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B; pub struct A;", "b.rs": f"{harmless} pub struct B;"}
    crate = made(tmp_path, files)
    assert crate.imports()["a.rs"] == {"b.rs"}
    assert circles(crate.imports()) == []


def test_a_facade_imports_nothing_but_what_it_uses_itself(tmp_path: Path) -> None:
    files = {
        "lib.rs": "pub mod room;",
        "room/mod.rs": "mod part; pub use part::{Part, part}; pub struct Whole;",
        "room/part.rs": "use super::Whole; pub struct Part; pub fn part() {}",
    }
    assert circles(made(tmp_path, files).imports()) == []
    files["room/mod.rs"] += " fn f(_: Part) {}"
    assert circles(made(tmp_path, files).imports()) == [["room/mod.rs", "room/part.rs"]]


def test_a_file_of_tests_belongs_to_what_it_tests(tmp_path: Path) -> None:
    files = {
        "lib.rs": "mod a; mod b;",
        "a.rs": "#[cfg(test)] mod tests; pub struct A;",
        "a/tests.rs": "use super::A; use crate::b::B;",
        "b.rs": "use crate::a::A; pub struct B;",
    }
    assert circles(made(tmp_path, files).imports()) == [["a.rs", "b.rs"]]
