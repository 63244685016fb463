"""A program that lets `save` meet one fault at a time, and prints what it left behind: a line of JSON for each.

It is a process of its own because it forks and ends children by SIGKILL. Usage: faults_of_save.py FOLDER KIND
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import onnxhybrid as oh

WATCHED = ("saving.py", "replacing.py", "carrying.py", "discarding.py", "holders.py")
OLD, NEW = 1.0, 2.0


def model(value: float) -> oh.Model:
    weight = numpy_helper.from_array(np.full((32, 32), value, np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 32]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    return oh.Model.from_proto(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def found(path: Path) -> float | str:
    """The value that all weights of the file have, as onnx reads them."""
    try:
        values = np.unique(numpy_helper.to_array(onnx.load(path.resolve()).graph.initializer[0]))
    except Exception as problem:  # noqa: BLE001  # whatever it is, the model is lost
        return f"{type(problem).__name__}: {problem}"
    return float(values[0]) if len(values) == 1 else "mixed"


def reads(path: Path) -> bool:
    """Whether `load` and `to_proto` read the file, by the path that it was saved to."""
    try:
        oh.load(path).to_proto()
    except oh.Error:
        return False
    return True


def trace(act: Callable[[], None], number: int) -> Callable[..., Any]:
    """A trace function that acts at the line of this number among those of `save`'s own files."""
    count = 0

    def local(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal count
        if event in ("line", "return"):
            count += 1
            if count == number:
                sys.settrace(None)
                act()
        return local

    def entered(frame: FrameType, *_: object) -> Callable[..., Any] | None:
        return local if Path(frame.f_code.co_filename).name in WATCHED else None

    return entered


def interrupt() -> None:
    raise KeyboardInterrupt


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def attempt(path: Path, external: bool) -> str:
    """What became of a save."""
    try:
        model(NEW).save(path, external_data=external)
    except oh.Error as problem:
        return problem.code
    except KeyboardInterrupt:
        return "interrupted"
    finally:
        sys.settrace(None)
    return "saved"


def at_each_line(path: Path, external: bool, act: Callable[[], None], renew: Callable[[], None]) -> Iterator[str]:
    number = 0
    outcome = ""
    while outcome != "saved":
        number += 1
        renew()
        child = os.fork()
        if not child:
            sys.settrace(trace(act, number))
            outcome = attempt(path, external)
            os._exit(0 if outcome == "saved" else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        outcome = {0: "saved", 1: "interrupted"}.get(status, "killed")
        yield outcome


CALLS = ("open", "fsync", "fchmod", "fstat", "link", "replace", "unlink", "stat", "listdir", "scandir", "symlink")


def at_each_call(path: Path, external: bool, late: bool, renew: Callable[[], None]) -> Iterator[str]:
    """Each call of the system fails, or is done and then interrupted."""
    for name in CALLS:
        for number in range(1, 60):
            renew()
            own, count = getattr(os, name), 0

            def failing(*args: Any, own: Any = own, number: int = number, **options: Any) -> Any:
                nonlocal count
                count += 1
                result = own(*args, **options) if late or count != number else None
                if count == number:
                    raise KeyboardInterrupt if late else OSError(errno.EIO, "injected")
                return result

            setattr(os, name, failing)
            try:
                outcome = attempt(path, external)
            finally:
                setattr(os, name, own)
            if count < number:
                break
            yield outcome


def main(folder: Path, kind: str) -> None:
    pristine, place = folder / "pristine", folder / "place"
    (pristine / "store").mkdir(parents=True)
    model(OLD).save(pristine / "m.onnx", external_data=True)
    model(OLD).save(pristine / "store" / "real.onnx", external_data=True)
    (pristine / "link.onnx").symlink_to("store/real.onnx")
    (pristine / "real.onnx.data").symlink_to("store/real.onnx.data")

    def renew() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(pristine, place, symlinks=True)

    for name, external in (("m.onnx", True), ("m.onnx", False), ("link.onnx", True)):
        path = place / name
        outcomes = {
            "interrupt": lambda p=path, e=external: at_each_line(p, e, interrupt, renew),
            "kill": lambda p=path, e=external: at_each_line(p, e, kill, renew),
            "fail": lambda p=path, e=external: at_each_call(p, e, False, renew),
            "late": lambda p=path, e=external: at_each_call(p, e, True, renew),
        }[kind]()
        for outcome in outcomes:
            left = [str(file.relative_to(place)) for file in place.rglob(".*.part")]
            print(
                json.dumps({"path": name, "outcome": outcome, "found": found(path), "read": reads(path), "left": left})
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
