"""Feeds out of files and numbers: arrays that fit a model's inputs.

from onnxhybrid import feeds

feeds.gather(model.inputs, files={"image": "cat.png"}, sizes={"noise": (1, 64)})
"""

from onnxhybrid.feeds.fitting import fitted
from onnxhybrid.feeds.gathering import gather
from onnxhybrid.feeds.numbers import drawn
from onnxhybrid.feeds.reading import read
from onnxhybrid.feeds.saving import save

__all__ = ["drawn", "fitted", "gather", "read", "save"]
