"""OH3xx and OH5xx of endpoints by name."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

REMOTE = (
    row(
        "OH326",
        "ModelError",
        "An endpoint by name is malformed",
        "oh.Endpoint takes a name of 1 to 64 letters, digits, '_', '-' and '.' that is not token, a base URL or None "
        "as the default, and as the order first or spread.",
        'oh.Endpoint("http://127.0.0.1:8000")',
        'Write oh.Endpoint("gpu", default="http://127.0.0.1:8000").',
    ),
    row(
        "OH327",
        "ModelError",
        "An endpoint by name leads nowhere while the model is built",
        "A builder that is not told what the model takes and gives asks the server. A name stands for the URL in its "
        "environment variable, or for its default; there is neither, or the protocol is not spoken there.",
        'oh.remote.triton(oh.Endpoint("gpu"), "yolo")',
        "Set ONNXHYBRID_ENDPOINT_<NAME>, give a default, or give inputs= and outputs=. A default's scheme says whether "
        "HTTP or gRPC is spoken.",
    ),
)

RUN = (
    row(
        "OH574",
        "RemoteError",
        "An endpoint by name leads nowhere",
        "The file names an endpoint and has no default for it, and neither the session nor the environment has a URL.",
        'oh.Session(model) where model was built with oh.Endpoint("gpu")',
        'Give the session endpoints={"gpu": "https://…"}, set ONNXHYBRID_ENDPOINT_GPU, or build the model with '
        'oh.Endpoint("gpu", default="https://…").',
    ),
    row(
        "OH575",
        "RemoteError",
        "An endpoint is given that no node names",
        "The session is given a URL for a name that no remote node of its model has: a name was mistyped, or the node "
        "was built with a URL.",
        'oh.Session(model, endpoints={"gpuu": url})',
        "Give the names that the message tells, and no others. Model.retarget moves nodes that were built with a URL.",
    ),
    row(
        "OH576",
        "RemoteError",
        "What an endpoint's name stands for cannot be called",
        "The session or the environment gives a name something that is no base URL, or one of another scheme than the "
        "node's protocol speaks: that was decided when the model was built.",
        'ONNXHYBRID_ENDPOINT_GPU="grpc://gpu.example:8001" for a node that speaks HTTP',
        "Give base URLs of the schemes that the message names, or build the model with a default of the other scheme.",
    ),
)
