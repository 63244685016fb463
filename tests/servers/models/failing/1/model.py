"""Fails every request with the message that the request brought."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Errors on demand."""

    def execute(self, requests):
        """Answer each request by itself."""
        return [pb_utils.InferenceResponse(error=self._error(request)) for request in requests]

    def _error(self, request):
        message = pb_utils.get_input_tensor_by_name(request, "MESSAGE").as_numpy()[0]
        return pb_utils.TritonError(message.decode())
