"""Answers as late as the request asks for; two instances, so that two requests wait at once."""

import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """SLEPT = SECONDS, that much later."""

    def execute(self, requests):
        """Answer each request by itself."""
        return [pb_utils.InferenceResponse([self._wait(request)]) for request in requests]

    def _wait(self, request):
        seconds = pb_utils.get_input_tensor_by_name(request, "SECONDS").as_numpy()
        time.sleep(float(seconds[0]))
        return pb_utils.Tensor("SLEPT", seconds)
