"""Thresholds and judges that are chosen on the user's own rows."""

from onnxhybrid.calibration.fitting.fit import fit_judge

__all__ = ["fit_judge"]
