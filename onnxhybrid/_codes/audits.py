"""The codes of audits."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import Diagnostic, warning

ROWS: tuple[Diagnostic, ...] = (
    warning(
        "OH635",
        "Audited rows refute the certificate",
        "Of the rows that were accepted and asked for all the same, more differ than the model's certificate promises "
        "(`differ_high`), and chance explains that in one of twenty streams at most, however long they are. What the "
        "calibration proved may no longer hold: the data, or the remote model, are not what they were. It is a line of "
        "the logger `onnxhybrid`, once, and `alarm` of `Session.audit()`; runs go on as before.",
        "a cascade that was calibrated in spring and sees the products of autumn",
        "Calibrate anew with data of today; until then, raise the threshold, so that more is sent.",
    ),
)
