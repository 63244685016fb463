"""OH55x: the library, the extras and the embedded endpoint of an installation."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH550",
        "Error",
        "The operator library cannot be loaded",
        "The native library is missing or of another version.",
        "a source tree that was copied without building it",
        "Install onnxhybrid again: pip install . in its checkout, which builds the library with Rust, or a wheel "
        "of the same version.",
    ),
    row(
        "OH551",
        "Error",
        "An extra is not installed",
        "This part of onnxhybrid needs packages that come with an extra.",
        "oh.endpoint without starlette",
        'pip install "onnxhybrid[endpoint]"',
    ),
    row(
        "OH552",
        "Error",
        "The endpoint cannot be started",
        "The embedded endpoint was given an address that it cannot listen on, a name that it cannot serve, or a limit "
        "or an allowed host that is none.",
        "a port that another program listens on",
        "Use port=0 for a free one.",
    ),
    row(
        "OH553",
        "Error",
        "The embedded endpoint does not serve a request",
        "The endpoint answers with an error status and the message: 400 and 404 for what is malformed or not there, "
        "413 for what is too large, 421 for another host than the endpoint's, 503 where others have the memory.",
        "a request whose tensor has fewer bytes than its shape says",
        "Correct the request as the message says; the official clients make well-formed ones.",
    ),
)
