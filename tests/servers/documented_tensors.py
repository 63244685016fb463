"""Stand-ins for servers of KServe v2 and of AzureML, as their documents have them."""

from __future__ import annotations

import json

import numpy as np

from tests.servers.documented import Reply, StandIn, inferred, tensors_of, with_header
from tests.servers.documented_openai import KEY
from tests.servers.heard import Heard


# https://kserve.github.io/website/docs/model-serving/predictive-inference/frameworks/sklearn; the refusal is that of
# python/kserve/kserve/errors.py, and Istio's gateway knows a service by its host.
def _iris(asked: Heard) -> Reply:
    head, tensors = tensors_of(asked)
    rows = len(tensors["input-0"])
    output = {"data": [1] * rows, "datatype": "INT64", "name": "predict", "parameters": None, "shape": [rows]}
    return Reply(
        200, {"id": head.get("id"), "model_name": "sklearn-iris", "model_version": "v1.0.0", "outputs": [output]}
    )


KSERVE = StandIn(
    {"POST /v2/models/sklearn-iris/infer": _iris},
    missing=lambda asked: Reply(404, {"error": f"Model with name {asked.path.split('/')[3]} does not exist."}),
    admits=lambda asked: asked.host == "sklearn-iris.kserve-test.example.com",
    refusal=Reply(404, b"", more="server: istio-envoy\r\n"),
)


# https://docs.openvino.ai/2026/model-server/ovms_docs_rest_api_kfs.html and ovms_docs_binary_input_kfs.html: BYTES are
# encoded images, each with its length before it; outputs come in bytes where `binary_data` is asked for. The
# refusals are those of src/status.cpp.
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


def _resnet(asked: Heard) -> Reply:
    head, tensors = tensors_of(asked)
    image = tensors["0"]
    if isinstance(image, bytes) and image != len(JPEG).to_bytes(4, "little") + JPEG:
        return Reply(400, {"error": "Image parsing failed"})
    return inferred(
        head, "1463", "FP32", np.arange(1000, dtype=np.float32)[None], model_name="resnet", model_version="1"
    )


OVMS_TENSORS = StandIn(
    {"POST /v2/models/resnet/infer": _resnet},
    missing=Reply(404, {"error": "Model with requested name is not found"}),
)


# https://learn.microsoft.com/azure/machine-learning/how-to-deploy-with-triton, whose client is tritonclient.http with a
# bearer token, and …/how-to-safely-rollout-online-endpoints for the header. The refusal is reported by
# https://github.com/MicrosoftDocs/azure-docs/issues/98265.
def _densenet(asked: Heard) -> Reply:
    if asked.headers.get("azureml-model-deployment") != "blue":
        return Reply(404, b"")
    head, _ = tensors_of(asked)
    scores = np.linspace(0, 1, 1000, dtype=np.float32)[None]
    return inferred(head, "fc6_1", "FP32", scores, model_name="model_1", model_version="1")


_KEY = with_header("authorization", f"Bearer {KEY}")
_DENIED = Reply(401, b"key_auth_access_denied", kind="text/plain")
AZUREML_TRITON = StandIn(
    {"POST /v2/models/model_1/infer": _densenet},
    missing=Reply(400, {"error": "Request for unknown model"}),
    admits=_KEY,
    refusal=_DENIED,
)

# https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models-online-endpoints
_TABLE = {"input_data": {"columns": ["age", "sex"], "index": [0, 1], "data": [[19.0, 1.0], [33.0, 0.0]]}}
AZUREML_MLFLOW = StandIn(
    {
        "POST /score": lambda asked: (
            Reply(200, [1, 0])
            if json.loads(asked.body) == _TABLE
            else Reply(400, {"message": "Input must have 'input_data' key"})
        )
    },
    missing=Reply(404, b""),
    admits=_KEY,
    refusal=_DENIED,
)
