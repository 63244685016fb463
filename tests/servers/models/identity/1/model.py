"""Gives back each input that it was sent: IN_FP32 becomes OUT_FP32, and so on."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """The identity on every datatype."""

    def execute(self, requests):
        """Answer each request by itself."""
        return [pb_utils.InferenceResponse([self._renamed(t) for t in request.inputs()]) for request in requests]

    def _renamed(self, tensor):
        name = tensor.name().replace("IN_", "OUT_")
        if name == "OUT_BYTES":
            return pb_utils.Tensor(name, tensor.as_numpy())
        # numpy has no bfloat16, so the values travel by DLPack, which does
        return pb_utils.Tensor.from_dlpack(name, tensor.to_dlpack())
