"""Many rows, once each: files in, files out, whatever dies in between."""

from onnxhybrid.scoring.score import score
from onnxhybrid.scoring.summary import Summary

__all__ = ["Summary", "score"]
