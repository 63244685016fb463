"""Many rows: `oh.score` over files, and `deployment`, a hybrid behind Ray Serve."""

from __future__ import annotations

from onnxhybrid.scoring.serving.deploying import deployment

__all__ = ["deployment"]
