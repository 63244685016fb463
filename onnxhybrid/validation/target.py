"""The runtime that a model has to run in."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from onnxhybrid.errors import ModelError
from onnxhybrid.validation.kernels import Table, installed, of_release

SUPPORT = {
    (1, 14): (18, 8, 3),
    (1, 15): (19, 8, 3),
    (1, 16): (19, 9, 3),
    (1, 17): (20, 9, 4),
    (1, 18): (21, 10, 5),
    (1, 19): (21, 10, 5),
    (1, 20): (21, 10, 5),
    (1, 21): (22, 10, 5),
    (1, 22): (22, 10, 5),
    (1, 23): (23, 11, 5),
    (1, 24): (25, 13, 5),
    (1, 25): (26, 13, 5),
    (1, 26): (26, 13, 5),
    (1, 27): (26, 13, 5),
    (1, 28): (26, 13, 5),
    (1, 29): (26, 13, 5),
    (1, 30): (26, 13, 5),
    (1, 31): (26, 13, 5),
    (1, 32): (28, 14, 5),
}
"""onnxruntime -> the newest ai.onnx opset, IR version and ai.onnx.ml opset that it reads.

Source: 1.14 and 1.15 https://onnxruntime.ai/docs/reference/compatibility.html; the later releases were asked
themselves, as `Target.installed` asks the installed one.
"""


@dataclass(frozen=True)
class Target:
    """What a model has to run in, and the newest standard opset, IR version and ai.onnx.ml opset that it reads.

    Without a release it is the installed runtime, of which one may read less than it can.
    """

    name: str
    opset: int
    ir_version: int
    ml_opset: int
    release: tuple[int, int] | None = None

    @property
    def kernels(self) -> Table | None:
        """What it has kernels for; None where it does not tell."""
        return installed() if self.release is None else of_release(self.release)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def installed(cls) -> Target:
        """The installed ONNX Runtime."""
        import onnxruntime

        return cls(f"onnxruntime {onnxruntime.__version__}", *_probed())

    @classmethod
    def parse(cls, text: str) -> Target:
        """The target that a text such as "onnxruntime==1.18" or "opset 17" names.

        Raises:
            ModelError: OH304, it names none that is known.
        """
        if not isinstance(text, str):
            raise ModelError("OH304", f"a target is a text such as 'opset 17', not {text!r}")
        here = cls.installed()
        if found := re.fullmatch(r"opset\s*(\d{1,9})", text.strip()):
            if int(found[1]) <= here.opset:
                return cls(text.strip(), int(found[1]), here.ir_version, here.ml_opset)
            raise ModelError("OH304", f"{text.strip()!r} is beyond opset {here.opset}, the newest that is known here")
        if found := re.fullmatch(r"onnxruntime\s*==\s*(\d{1,9})\.(\d{1,9})(\.\d+)?", text.strip()):
            version = int(found[1]), int(found[2])
            if here.name.startswith(f"onnxruntime {version[0]}.{version[1]}."):
                return here
            if version in SUPPORT:
                return cls(text.strip(), *SUPPORT[version], version)
        (first, *_, last) = (f"{major}.{minor}" for major, minor in SUPPORT)
        raise ModelError(
            "OH304", f"the target {text!r} is not known; write 'opset 17', or 'onnxruntime=={first}' to {last}"
        )


@functools.cache
def _probed() -> tuple[int, int, int]:
    """The newest opset, IR version and ai.onnx.ml opset that the installed runtime reads, found by asking it."""
    from onnx import IR_VERSION, defs

    opset = next(n for n in range(defs.onnx_opset_version(), 0, -1) if n <= 13 or _reads(n, 7))
    ir_version = next(n for n in range(IR_VERSION, 0, -1) if n <= 7 or _reads(13, n))
    ml_newest = max(schema.since_version for schema in defs.get_all_schemas() if schema.domain == "ai.onnx.ml")
    return opset, ir_version, next(n for n in range(ml_newest, 0, -1) if n <= 2 or _reads(13, 7, ml_opset=n))


def _reads(opset: int, ir_version: int, ml_opset: int | None = None) -> bool:
    import onnxruntime
    from onnx import TensorProto, helper

    imports = [helper.make_opsetid("", opset)]
    node = helper.make_node("Identity", ["x"], ["y"])
    if ml_opset is not None:
        imports.append(helper.make_opsetid("ai.onnx.ml", ml_opset))
        node = helper.make_node("Binarizer", ["x"], ["y"], domain="ai.onnx.ml")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in "xy"]
    graph = helper.make_graph([node], "probe", value[:1], value[1:])
    model = helper.make_model(graph, ir_version=ir_version, opset_imports=imports)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), quiet, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001  # whatever the runtime raises, it does not read this
        return False
    return True
