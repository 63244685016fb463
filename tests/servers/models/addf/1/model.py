"""Adds two float32 vectors."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Z = X + Y."""

    def execute(self, requests):
        """Answer each request by itself."""
        return [pb_utils.InferenceResponse([self._sum(request)]) for request in requests]

    def _sum(self, request):
        x, y = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("X", "Y"))
        return pb_utils.Tensor("Z", x + y)
