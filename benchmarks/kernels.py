"""Which operators past releases of ONNX Runtime have no kernel for, in a version of an opset that they read.

python -m benchmarks.kernels > onnxhybrid/validation/missing_kernels.py   # into .corpus/runtimes/
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from onnx import defs, helper

from onnxhybrid.model.kernels import Kernels, lacks_kernel
from onnxhybrid.validation.target import SUPPORT
from tests import environments
from tests.corpus.wheels import root

RELEASES = (
    *("1.16.3", "1.17.3", "1.18.1", "1.19.2", "1.20.1", "1.21.1", "1.22.1", "1.23.2", "1.24.4"),
    *("1.25.1", "1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.1", "1.32.0"),
)

_LIST = """
import json
from onnxruntime.capi import onnxruntime_pybind11_state as state
print(json.dumps([[k.domain, k.op_name, *k.version_range] for k in state.get_all_opkernel_def()]))
"""


_HEAD = '''"""Operators of the standard without a kernel in a version that the runtime reads: see `benchmarks.kernels`.

There is one for an earlier version. Written by `python -m benchmarks.kernels`, which asks onnxruntime 1.16 and later;
1.14 and 1.15 do not tell.
"""

from __future__ import annotations

MISSING: dict[tuple[str, int], tuple[tuple[int, int], tuple[int, int]]] = {'''

_FOOT = '''}
"""operator, and the opset that brought a version of it -> the first and last onnxruntime without a kernel for it"""'''


def main() -> None:
    """Print the table as a module."""
    spans: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for release in RELEASES:
        major, minor = map(int, release.split(".")[:2])
        for missing in _missing(_kernels(release), SUPPORT[major, minor][0]):
            spans.setdefault(missing, []).append((major, minor))
    print(_HEAD)
    for (operator, version), releases in sorted(spans.items()):
        print(f'    ("{operator}", {version}): ({releases[0]}, {releases[-1]}),')
    print(_FOOT)


def _missing(kernels: Kernels, newest: int) -> list[tuple[str, int]]:
    """The versions of operators, in the opsets that a runtime reads, that lose the kernel of an earlier one."""
    found = []
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain and not schema.deprecated and schema.since_version <= newest:
            node = helper.make_node(schema.name, ["x"] * schema.min_input, ["y"])
            if lacks_kernel(node, schema.since_version, kernels):
                found.append((schema.name, schema.since_version))
    return found


def _kernels(release: str) -> Kernels:
    """What a release lists as its kernels."""
    with environments.alone(root() / "runtimes"):
        path = root() / "runtimes" / release
        if not (path / f"onnxruntime-{release}.dist-info" / "RECORD").exists():
            _install(release, path)
    environment = {**os.environ, "PYTHONPATH": str(path)}
    told = subprocess.run([sys.executable, "-c", _LIST], env=environment, capture_output=True, text=True, check=True)
    ranges: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for domain, operator, first, last in json.loads(told.stdout):
        ranges.setdefault((domain, operator), set()).add((first, last))
    return {operator: frozenset(found) for operator, found in ranges.items()}


def _install(release: str, path: Path) -> None:
    print(f"installing onnxruntime {release} into {path} (once) …", file=sys.stderr, flush=True)
    wanted = [f"onnxruntime=={release}"]
    if int(release.split(".")[1]) < 19:
        wanted.append("numpy<2")  # what it was built for
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(path)]
    subprocess.run([*command, *wanted], check=True)


if __name__ == "__main__":
    main()
