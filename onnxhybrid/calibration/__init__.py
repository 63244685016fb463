"""Thresholds and judges that are chosen on the user's own rows, under a promise that is proven."""

from onnxhybrid.calibration.calibrate import calibrate
from onnxhybrid.calibration.certificate import Certificate
from onnxhybrid.calibration.fitting.fit import fit_judge
from onnxhybrid.calibration.points import Point, Summary
from onnxhybrid.calibration.result import Calibration

__all__ = ["Calibration", "Certificate", "Point", "Summary", "calibrate", "fit_judge"]
