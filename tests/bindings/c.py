"""ONNX Runtime's C API: the shared library of the Python package, and a program that is compiled against its header.

No wheel carries the header; a module of Go does, which the go command fetches on first use. It is kept in `.c/` in the
checkout, or where `ONNXHYBRID_C` says. It needs `go` and a C compiler (`cc`), and a system with dlopen.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnxruntime

import onnxhybrid as oh

MODULE = "github.com/yalue/onnxruntime_go@v1.27.0"
_SUM = "h1:c1YSgDNtpf0WGtxj3YeRIb8VC5LmM1J+Ve3uHdteC1U="
_HEADERS = ("onnxruntime_ep_c_api.h", "onnxruntime_c_api.h")


def unsupported() -> str | None:
    """Why the program cannot be built here; None where it can."""
    if sys.platform == "win32":
        return "the program loads ONNX Runtime by dlopen"
    needed = ["cc"] if _is_there() else ["cc", "go"]
    missing = [program for program in needed if shutil.which(program) is None]
    return f"{' and '.join(missing)} is not installed" if missing else None


def _folder() -> Path:
    return Path(os.environ.get("ONNXHYBRID_C") or Path(__file__).parents[2] / ".c")


def _is_there() -> bool:
    return all((_folder() / name).is_file() for name in _HEADERS)


def headers() -> Path:
    """The folder of the headers; they are fetched if they are not there yet.

    Raises:
        RuntimeError: go could not get them, or got another module than the tests were written with.
    """
    if not _is_there():
        _folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as cache:  # the module is large, and the headers are not
            module = _download(cache)
            for name in _HEADERS:
                shutil.copyfile(Path(module["Dir"]) / name, _folder() / name)
    return _folder()


def _download(cache: str) -> dict[str, str]:
    # The sum is compared here, so that no database of sums is asked.
    settings = {"GOMODCACHE": cache, "GOFLAGS": "-modcacherw", "GONOSUMDB": MODULE.partition("@")[0]}
    command = ["go", "mod", "download", "-json", MODULE]
    done = subprocess.run(
        command, env=os.environ | settings, cwd=cache, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    module: dict[str, str] = json.loads(done.stdout)
    if module["Sum"] != _SUM:
        raise RuntimeError(f"{MODULE} has the sum {module['Sum']}, and {_SUM} was expected")
    return module


def command(folder: Path, *defines: str) -> list[str]:
    """The program, built in a folder, with the two libraries: what is to be run is behind them."""
    program, source = folder / "run", Path(__file__).with_name("run.c")
    options = [
        *(f"-D{name}" for name in defines),
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{headers()}",
        str(source),
    ]
    subprocess.run(["cc", *options, "-o", str(program), "-ldl", "-lpthread"], check=True)
    return [str(program), str(runtime()), oh.library_path()]


def through_provider(folder: Path) -> list[str]:
    """The program whose sessions have the library as their execution provider."""
    return command(folder, "PROVIDER")


def runtime() -> Path:
    """ONNX Runtime's shared library in the wheel; its name ends in the version."""
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*[0-9]*")
    return library


def built(source: Path, target: Path) -> Path:
    """A program of one file, which is linked with the runtime of the Python package."""
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{headers()}"]
    subprocess.run(["cc", *options, str(source), "-o", str(target), *linked(target.parent)], check=True)
    return target


def linked(folder: Path) -> list[str]:
    """What links a program with the runtime, which it finds in this folder by the name that it has for linkers."""
    name = folder / "libonnxruntime.so.1"
    if not name.exists():
        name.symlink_to(runtime())
    return [str(name), f"-Wl,-rpath,{folder}"]
