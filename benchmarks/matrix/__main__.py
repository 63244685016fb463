"""The matrix of releases: hybrids run, models load, and `validate` agrees. It writes the table of docs/platforms.md.

python -m benchmarks.matrix [--singles N] [--newest VERSION]
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import onnxhybrid as oh
from benchmarks.matrix import corpora, runtimes
from benchmarks.matrix.hybrids import hybrids
from benchmarks.matrix.page import write
from benchmarks.matrix.row import Row
from onnxhybrid.validation.target import Target
from tests import bindings
from tests.bindings.suite import Suite, differences, made, served

_OF_THIS_MACHINE = "Failed to construct locale"
"""What a session says where the system lacks the locale of a StringNormalizer."""

_RUNNER = Path(__file__).with_name("running.py")


def main() -> int:
    """Run everything; the status is 1 where a hybrid differs, or `validate` does not agree with what a release does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--singles", type=int, default=3000, help="models of one operator")
    parser.add_argument("--composed", type=int, default=300, help="compositions, and as many that are drawn")
    parser.add_argument("--newest", help="in place of the newest that the index has")
    asked = parser.parse_args()
    started = time.monotonic()
    releases = [*runtimes.RELEASES, asked.newest or runtimes.newest()]
    rows = {release: Row(release, unknown=_is_unknown(release)) for release in dict.fromkeys(releases)}
    with tempfile.TemporaryDirectory() as folder, served() as servers:
        _run_suite(rows, made(Path(folder) / "set", servers), Path(folder))
        own = hybrids(servers.models)
        _run_own(rows, own, Path(folder) / "own")
    for name, corpus in {
        "hybrids": [(name, model) for name, (model, _) in own.items()],
        "test cases": list(corpora.test_cases()),
        "single operators": list(corpora.single_operators(asked.singles)),
        "compositions": [*corpora.compositions(asked.composed), *corpora.drawn(asked.composed)],
    }.items():
        _ask(rows, name, corpus)
    write(list(rows.values()), time.monotonic() - started)
    _tell(rows.values())
    return int(any(row.wrong_count or row.suite[0] < row.suite[1] or row.own[1] for row in rows.values()))


def _run_suite(rows: Mapping[str, Row], suite: Suite, folder: Path) -> None:
    for release, row in rows.items():
        os.environ["PYTHONPATH"] = str(runtimes.folder(release))
        suite.run([runtimes.python(release), str(_RUNNER), oh.library_path()], folder / release)
        found = differences(suite, folder / release)
        for name, text in found.items():
            print(f"{release}: {name}: {text}")
        row.suite = len(suite.expected) - len(found), len(suite.expected)


def _run_own(
    rows: Mapping[str, Row], own: Mapping[str, tuple[oh.Model, dict[str, bindings.Array]]], folder: Path
) -> None:
    """Run hybrids by each release, the newest last, with whose bits the others' are compared."""
    folder.mkdir()
    lines = []
    for number, (model, feeds) in enumerate(own.values()):
        model.save(folder / f"{number}.onnx")
        lines += [f"input\t{line}" for line in bindings.write(folder, f"{number}-", feeds, root=folder)]
        lines.append(f"run\t{number}.onnx\t{number}\n")
    (folder / "list").write_text("".join(lines), encoding="utf-8")
    for release in rows:
        for number in range(len(own)):
            (folder / release / str(number)).mkdir(parents=True)
        done = runtimes.run(release, _RUNNER, [oh.library_path(), str(folder), "list", str(folder / release)])
        if done.returncode:
            raise RuntimeError(f"{release} ended with status {done.returncode}:\n{done.stderr}")
    *_, newest = rows
    for release, row in rows.items():
        found = collections.Counter(
            _compared(folder / release / str(number), folder / newest / str(number)) for number in range(len(own))
        )
        row.own = found["equal"], found["other"], found["refused"]


def _compared(found: Path, newest: Path) -> str:
    if (found / "error").exists():
        return "refused"
    return "equal" if _bits(found) == _bits(newest) else "other"


def _bits(folder: Path) -> dict[str, object]:
    values = bindings.outputs(folder)
    return {name: (v.dtype, v.shape, v.tolist() if v.dtype == object else v.tobytes()) for name, v in values.items()}


def _ask(rows: Mapping[str, Row], corpus: str, models: Sequence[corpora.Named]) -> None:
    """Ask each release whether it loads the models, and `validate` whether it says so."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.onnx" for number in range(len(models))]
        for path, (_, model) in zip(paths, models, strict=True):
            path.write_bytes(model.to_proto().SerializeToString())
        for release, row in rows.items():
            said = list(runtimes.loaded(release, paths, Path(folder), oh.library_path()).values())
            row.models[corpus] = len(models), said.count("")
            row.wrong[corpus] = [] if row.unknown else list(_wrong(models, said, release))
            print(f"{release}: {corpus}: {row.models[corpus]}, {len(row.wrong[corpus])} judged otherwise", flush=True)


def _wrong(models: Sequence[corpora.Named], said: Sequence[str], release: str) -> Iterator[tuple[str, str, str]]:
    for (name, model), text in zip(models, said, strict=True):
        found = _found(model, release)
        if bool(found) != bool(text) and _OF_THIS_MACHINE not in text:
            yield name, found, text


def _found(model: oh.Model, release: str) -> str:
    """What `validate` says against a model; an operator that needs a library is none that a release has."""
    report = oh.validate(model, target=f"onnxruntime=={release}")
    return "; ".join(f.message for f in report if f.severity == "error" or f.code == "OH126")


def _is_unknown(release: str) -> bool:
    try:
        Target.parse(f"onnxruntime=={release}")
    except oh.ModelError:
        return True
    return False


def _tell(rows: Iterable[Row]) -> None:
    """Every model that is judged otherwise."""
    for row in rows:
        for corpus, cases in row.wrong.items():
            for name, found, text in cases:
                print(f"{row.release}: {corpus}: {name}")
                print(f"    validate: {found or 'it loads'}\n    the release: {text or 'it loads'}")


if __name__ == "__main__":
    sys.exit(main())
