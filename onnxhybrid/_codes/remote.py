"""OH3xx: remote nodes and secrets."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row, warning

ROWS = (
    row(
        "OH301",
        "ModelError",
        "A remote node is malformed",
        "An Invoke node lacks an attribute, has an unknown protocol, an endpoint that is no URL of the protocol's "
        "schemes, or names that do not fit its inputs and outputs.",
        'oh.remote.triton("ftp://host", "yolo")',
        "Build remote models with oh.remote; an endpoint is a base URL such as https://host:8000.",
    ),
    row(
        "OH302",
        "ModelError",
        "Only one side of the remote model is described",
        "inputs and outputs are given together, or neither is and the server is asked for its metadata.",
        'oh.remote.triton(url, "yolo", inputs=[…]) without outputs',
        "Give both lists of TensorSpec, or none.",
    ),
    row(
        "OH303",
        "ModelError",
        "A secret would end up in the artifact",
        "An artifact is a file that is copied, so it holds no credential: neither in a URL nor as a constant.",
        'oh.remote.triton("https://user:password@host", "yolo"), or model.bind(auth_token="…")',
        'Use auth=oh.Credential("name") and give the value to the Session, or auth=oh.Input("auth_token").',
    ),
    row(
        "OH304",
        "ModelError",
        "An option has a value that it cannot have",
        "timeout and connect_timeout are seconds above 0 and up to a day, retries is 0 to 100, on_error raise or flag.",
        'oh.remote.triton(url, "yolo", timeout=0)',
        "Use a value in the range that the message gives.",
    ),
    warning(
        "OH305",
        "A credential travels unencrypted",
        "The node sends a token over plain http to a host that is not this machine, where others can read it.",
        'oh.remote.triton("http://gpu.example:8000", "yolo", auth=oh.Credential("yolo"))',
        "Use https.",
    ),
    row(
        "OH306",
        "ValidationError",
        "Something that looks like a secret is in the artifact",
        "A string in the file has the form of a token (sk-…, a JSON web token, a bearer header).",
        'metadata {"note": "Bearer eyJhbGciOi…"}',
        "Remove it and revoke it: an artifact is copied to every device.",
    ),
)
