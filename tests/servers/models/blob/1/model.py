"""Gives back the bytes of IMAGE as SAME, and from their end to their start as REVERSED."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """The identity on bytes, and their reversal."""

    def execute(self, requests):
        """Answer each request by itself."""
        return [pb_utils.InferenceResponse(self._outputs(request)) for request in requests]

    def _outputs(self, request):
        (image,) = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy().tolist()
        pairs = (("SAME", image), ("REVERSED", image[::-1]))
        return [pb_utils.Tensor(name, np.array([data], np.object_)) for name, data in pairs]
