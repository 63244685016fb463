"""A set of hybrids in a folder, the programs that run it, and what came out beside what should have."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxhybrid as oh
from tests import bindings
from tests.bindings import Array
from tests.bindings.given import WHOLE, given
from tests.bindings.hybrids import LARGE, Hybrid, combined, linear, remote
from tests.bindings.servers import NOWHERE, TOKEN, Servers, serving
from tests.endpoint_models import identity

THREADS = 16
LEAVING = "process that ends with a call under way"
ENDS = 5.0
"""Seconds within which a process ends whose call would wait for a minute."""

Expected = Mapping[str, Array] | str
"""The outputs, or the code of an error."""


def hybrids(servers: Servers) -> dict[str, Hybrid]:
    """Every hybrid of the set, by its name."""
    return combined(servers) | given(servers)


NAMES = sorted(hybrids(NOWHERE))


def folder_of(name: str) -> str:
    """The folder of a hybrid's results."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


@dataclass(frozen=True)
class Suite:
    """A set that is in a folder, and what its runs give here."""

    folder: Path
    servers: Servers
    expected: Mapping[str, Expected]

    def run(self, command: Sequence[str], results: Path, *, prefix: str = "") -> None:
        """Run all lists by a program; `prefix` stands before paths where the program sees other ones.

        Raises:
            RuntimeError: the program failed, or did not end as it should.
        """
        for name in self.expected:
            (results / folder_of(name)).mkdir(parents=True)
        for number in range(THREADS):
            (results / "together" / str(number)).mkdir(parents=True)
        (results / "leaving").mkdir()
        paths = f"{prefix}{self.folder.as_posix()}", f"{prefix}{results.as_posix()}"
        for part in ("jobs", "together"):
            whole = [*command, paths[0], part, paths[1]]
            done = subprocess.run(whole, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise RuntimeError(f"{part}: status {done.returncode}\n{done.stdout}{done.stderr}")
        self._leave([*command, paths[0], "leaving", paths[1]])

    def _leave(self, command: Sequence[str]) -> None:
        """Start the program, and let it end once its request has come."""
        self.servers.asked.clear()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as program:
            ends = time.monotonic() + 120
            while not self.servers.asked.wait(0.1) and program.poll() is None and time.monotonic() < ends:
                pass
            started = time.monotonic()
            said, _ = program.communicate("\n", timeout=120)
            took = time.monotonic() - started
        asked = self.servers.asked.is_set()
        if program.returncode or took > ENDS or not asked:
            raise RuntimeError(f"leaving: status {program.returncode} after {took:.1f} s, asked: {asked}\n{said}")


def made(folder: Path, servers: Servers) -> Suite:
    """Make the set in a folder, and find out what each file gives."""
    folder.mkdir(parents=True)
    (folder / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    found = hybrids(servers)
    lines = {name: _written(folder, name, hybrid) for name, hybrid in found.items()}
    lists = {
        "jobs": "".join(text + _runs("run", name) for name, text in lines.items()),
        "together": lines[WHOLE] + f"together\tmodels/{folder_of(WHOLE)}.onnx\ttogether\t{THREADS}\n",
        "leaving": f"leave\tmodels/{folder_of(LEAVING)}.onnx\tleaving\n",
    }
    remote(servers.silent, timeout=60.0).save(folder / "models" / f"{folder_of(LEAVING)}.onnx")
    for name, text in lists.items():
        (folder / name).write_text(f"input\tx\t1\t2,3\tinputs/x\n{text}" if name == "leaving" else text, "utf-8")
    (folder / "inputs" / "x").write_bytes(bytes(24))
    expected = {name: expectation(folder, name, hybrid) for name, hybrid in found.items()}
    for name, result in expected.items():
        _write_expected(folder / "expected" / folder_of(name), result)
    return Suite(folder, servers, expected)


def _runs(verb: str, name: str) -> str:
    return f"{verb}\tmodels/{folder_of(name)}.onnx\t{folder_of(name)}\n"


def _written(folder: Path, name: str, hybrid: Hybrid) -> str:
    """Write a hybrid and what it is given; gives the lines that stand before its run."""
    slug = folder_of(name)
    (folder / "models").mkdir(exist_ok=True)
    hybrid.model.save(folder / "models" / f"{slug}.onnx", external_data=True if hybrid.external else "auto")
    lines = []
    for verb, tensors in (("input", hybrid.feeds), ("default", hybrid.defaults)):
        written = bindings.write(folder / "inputs", f"{slug}-{verb}", tensors, root=folder)
        lines += [f"{verb}\t{line}" for line in written]
    if hybrid.in_file:
        (folder / f"{slug}.json").write_text(hybrid.entry, encoding="utf-8")
        lines.append(f"entry\tonnxhybrid.session\t@{{set}}/{slug}.json\n")
    elif hybrid.settings is not None:
        lines.append(f"entry\tonnxhybrid.session\t{hybrid.entry}\n")
    return "".join(lines)


def _write_expected(folder: Path, result: Expected) -> None:
    folder.mkdir(parents=True)
    if isinstance(result, str):
        (folder / "error").write_text(result, encoding="utf-8")
    else:
        lines = bindings.write(folder, "", result, root=folder)
        (folder / "outputs").write_text("".join(lines), encoding="utf-8")


def expectation(folder: Path, name: str, hybrid: Hybrid) -> Expected:
    """What `oh.Session` gives, whose arguments are what the settings say."""
    try:
        session = oh.Session(folder / "models" / f"{folder_of(name)}.onnx", **_arguments(folder, hybrid))
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, {**hybrid.feeds, **hybrid.defaults}), strict=True))
    except oh.RemoteError as error:
        return str(error.code)


def _arguments(folder: Path, hybrid: Hybrid) -> dict[str, Any]:
    """The settings as Python has them."""
    settings = hybrid.settings or {}
    policy = dict(settings.get("policy", {}))
    made = oh.Policy.strict(**policy) if policy.pop("strict", False) else oh.Policy(**policy)
    credentials = {name: _secret(folder, given) for name, given in settings.get("credentials", {}).items()}
    return {"credentials": credentials, "endpoints": settings.get("endpoints"), "policy": made}


def _secret(folder: Path, given: Any) -> str | oh.Secret:
    if isinstance(given, str):
        return given
    value = given.get("value") or Path(given["file"].replace("{set}", str(folder)))
    return oh.Secret(value, hosts=given["hosts"])


def difference(expected: Expected, results: Path) -> str | None:
    """What differs between what came out of a run and what should have; None where nothing does."""
    try:
        found = bindings.outputs(results)
    except RuntimeError as error:
        code = re.search(r"\[(OH\d{3})\]", str(error))
        same = code is not None and code[1] == expected
        return None if same else f"{error}, not {expected if isinstance(expected, str) else 'outputs'}"
    except FileNotFoundError as error:
        return f"nothing was written: {error}"
    if isinstance(expected, str):
        return f"outputs, not {expected}"
    if list(found) != list(expected):
        return f"outputs {list(found)}, not {list(expected)}"
    return next((text for name in expected if (text := _unequal(name, expected[name], found[name]))), None)


def _unequal(name: str, expected: Array, found: Array) -> str | None:
    same = (found.dtype, found.shape) == (expected.dtype, expected.shape) and (
        found.tolist() == expected.tolist() if expected.dtype == object else found.tobytes() == expected.tobytes()
    )
    if same:
        return None
    return f"{name}: {_shown(found)}, not {_shown(expected)}"


def _shown(value: Array) -> str:
    return f"{value.dtype}{list(value.shape)} {value.tolist()}"


def differences(suite: Suite, results: Path) -> dict[str, str]:
    """What differs, by the names of the runs."""
    runs: dict[str, tuple[Expected, Path]] = {
        name: (expected, results / folder_of(name)) for name, expected in suite.expected.items()
    }
    for number in range(THREADS):
        runs[f"together, {number}"] = suite.expected[WHOLE], results / "together" / str(number)
    found = {name: difference(expected, folder) for name, (expected, folder) in runs.items()}
    return {name: text for name, text in found.items() if text is not None}


@contextlib.contextmanager
def served() -> Iterator[Servers]:
    """The servers that the set calls, until the block ends."""
    tail = oh.split(LARGE, at=["h"])[1]
    echoes = {name: identity(name) for name in ("BYTES", "FP16", "BOOL", "INT64", "UINT8")}
    with serving({"large": LARGE, "other": linear(5, 1), "tail": tail, **echoes}) as servers:
        yield servers
