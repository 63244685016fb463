"""Sums the inputs of a sequence, and tells the parameters of each request."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        start, key, value = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy().item() for name in ("START", "ID", "X")
        )
        self.sums[key] = (0 if start else self.sums.get(key, 0)) + value
        outputs = {
            "SUM": np.array([self.sums[key]], np.float32),
            "TOLD": np.array([request.parameters().encode()], object),
        }
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in outputs.items()])
