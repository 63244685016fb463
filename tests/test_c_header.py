"""The C header: every function that the library exports, as its source has it, for C and for C++."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import onnxhybrid as oh
from onnxhybrid import library

ROOT = Path(__file__).parent.parent
HEADER = ROOT / "onnxhybrid" / "include" / "onnxhybrid.h"
TYPES = {
    "LentText": "const char *",
    "GivenText": "char *",
    "Option<Provider>": "onnxhybrid_provider ",
    "Option<Check>": "onnxhybrid_check ",
    "Option<&mut GivenText>": "char **",
    "u64": "uint64_t ",
    "u32": "uint32_t ",
    "f64": "double ",
    "AtomicU64": "uint64_t ",
}


def plain(source: str) -> str:
    """A source without its comments, on one line."""
    text = " ".join(re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.DOTALL).split())
    return text.replace("( ", "(").replace(" )", ")")


def exported() -> dict[str, str]:
    """What Rust exports by name, as C declares it."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "native" / "src").rglob("*.rs")]
    blocks = "\n".join(source.partition("export! {")[2] for source in sources)
    found = {}
    for name, arguments, result in re.findall(r'extern "C" fn (\w+)\((.*?)\)(?: -> ([\w<>&: ]+?))? \{', plain(blocks)):
        pairs = [pair.split(": ") for pair in arguments.split(", ") if pair]
        taken = ", ".join(TYPES[kind] + argument for argument, kind in pairs)
        found[name] = f"{TYPES.get(result, 'void ')}{name}({taken or 'void'});"
    for name, kind in re.findall(r"static (onnxhybrid_\w+): (\w+) =", plain(blocks)):
        found[name] = f"extern {TYPES[kind]}{name};"
    return found


def test_the_header_declares_what_the_source_exports_and_nothing_else() -> None:
    declared = plain(HEADER.read_text(encoding="utf-8"))
    found = exported()
    assert len(found) > 15
    for declaration in found.values():
        assert declaration in declared
    assert set(re.findall(r"(onnxhybrid_\w+)(?:\(|;)", declared)) - {"onnxhybrid_put"} == set(found)
    assert f"#define ONNXHYBRID_ABI_VERSION {library.ABI_VERSION}" in declared


def test_the_library_has_every_function_that_the_header_declares() -> None:
    loaded = ctypes.CDLL(oh.library_path())
    assert all(hasattr(loaded, name) for name in exported())


@pytest.mark.parametrize(("compiler", "options"), [("cc", ["-xc", "-std=c99"]), ("c++", ["-xc++", "-std=c++11"])])
def test_the_header_is_c_and_c_plus_plus(tmp_path: Path, compiler: str, options: list[str]) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    source = tmp_path / "source"
    source.write_text('#include "onnxhybrid.h"\nuint32_t version(void) { return onnxhybrid_abi_version(); }\n')
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{HEADER.parent}"]
    subprocess.run([compiler, *options, *strict, "-fsyntax-only", str(source)], check=True)
