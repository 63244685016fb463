"""Many rows, once each: files in, files out, whatever dies in between; and a hybrid behind Ray Serve."""

from onnxhybrid.scoring.score import score
from onnxhybrid.scoring.serving.deploying import deployment
from onnxhybrid.scoring.summary import Summary

__all__ = ["Summary", "deployment", "score"]
