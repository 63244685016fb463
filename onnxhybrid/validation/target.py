"""The runtime that a model has to run in."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from onnxhybrid.errors import ModelError

# onnxruntime -> newest ai.onnx opset, newest IR version. Source: https://onnxruntime.ai/docs/reference/compatibility.html
_SUPPORT = {
    (1, 18): (21, 10),
    (1, 19): (21, 10),
    (1, 20): (21, 10),
    (1, 23): (23, 11),
}


@dataclass(frozen=True)
class Target:
    """What a model has to run in, and the newest standard opset and IR version that it reads."""

    name: str
    opset: int
    ir_version: int

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
        installed = cls.installed()
        if found := re.fullmatch(r"opset\s*(\d+)", text.strip()):
            if int(found[1]) <= installed.opset:
                return cls(text.strip(), int(found[1]), installed.ir_version)
            raise ModelError(
                "OH304", f"{text.strip()!r} is beyond opset {installed.opset}, the newest that is known here"
            )
        if found := re.fullmatch(r"onnxruntime\s*==\s*(\d+)\.(\d+)(\.\d+)?", text.strip()):
            version = int(found[1]), int(found[2])
            if installed.name.startswith(f"onnxruntime {version[0]}.{version[1]}."):
                return installed
            if version in _SUPPORT:
                return cls(text.strip(), *_SUPPORT[version])
        known = ", ".join(f"{major}.{minor}" for major, minor in _SUPPORT)
        raise ModelError("OH304", f"the target {text!r} is not known; write 'opset 17' or 'onnxruntime==' {known}")


@functools.cache
def _probed() -> tuple[int, int]:
    """The newest opset and IR version that the installed runtime reads, found by asking it."""
    from onnx import IR_VERSION, defs

    opset = next(n for n in range(defs.onnx_opset_version(), 0, -1) if n <= 13 or _reads(n, 7))
    return opset, next(n for n in range(IR_VERSION, 0, -1) if n <= 7 or _reads(13, n))


def _reads(opset: int, ir_version: int) -> bool:
    import onnxruntime
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", value[:1], value[1:])
    model = helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)])
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), quiet, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001  # whatever the runtime raises, it does not read this
        return False
    return True
