"""A detector of the names and shapes of YOLO v2: it says how bright each cell of a picture is."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """218[n, 425, 13, 13] = the mean of each cell of input.1[n, 3, 416, 416], 425 times."""

    def execute(self, requests):
        """Answer each request by itself."""
        return [pb_utils.InferenceResponse([self._grid(request)]) for request in requests]

    def _grid(self, request):
        images = pb_utils.get_input_tensor_by_name(request, "input.1").as_numpy()
        cells = images.reshape(-1, 3, 13, 32, 13, 32).mean(axis=(1, 3, 5))
        return pb_utils.Tensor("218", np.repeat(cells[:, np.newaxis], 425, axis=1))
