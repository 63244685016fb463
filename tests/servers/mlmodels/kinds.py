"""The models of the tests, as MLServer runs them (tests/servers/mlserver.py)."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Identity(MLModel):
    """Gives each input IN_… back as OUT_…, as the message has it."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        outputs = [
            ResponseOutput(name=f"OUT{tensor.name[2:]}", shape=tensor.shape, datatype=tensor.datatype, data=tensor.data)
            for tensor in payload.inputs
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)


class Numbers(MLModel):
    """Gives its input back by way of numpy, and an output beside it that nobody asked for."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        values = NumpyCodec.decode_input(payload.inputs[0])
        outputs = [NumpyCodec.encode_output("other", values[:0]), NumpyCodec.encode_output("y", values)]
        return InferenceResponse(model_name=self.name, outputs=outputs)


class Texts(MLModel):
    """Gives its strings back in capitals."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = [text.upper() for text in StringCodec.decode_input(payload.inputs[0])]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("y", texts)])


class Failing(MLModel):
    """Refuses all that it is given."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        raise InferenceError(f"{payload.inputs[0].name} is not what I expected")


class Strange(MLModel):
    """Answers with NaN and an infinity."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        output = NumpyCodec.encode_output("y", np.array([[np.nan, np.inf]], np.float32))
        return InferenceResponse(model_name=self.name, outputs=[output])
