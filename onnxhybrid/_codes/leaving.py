"""OH587: what leaves the device."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH587",
        "PolicyDenied",
        "More would leave the device than the policy allows",
        "oh.Policy(egress=…) holds what leaves the device by a version of the model that was looked at. Of this file "
        "more does: a call goes to another endpoint, sends another credential, depends on an input on which none that "
        "is allowed at its endpoint depends, or may send more bytes at a time. Nothing was run or sent.",
        "a new version of a file in which an input that stayed on the device reaches a remote call",
        "Print oh.egress(model) and compare. If all of it may leave the device, give the policy "
        "egress=oh.egress(model), and keep its to_json() beside the file.",
    ),
)
