"""Judges: Models with one bool output that say whether an answer is good enough, made of standard ONNX operators.

`oh.judge.max_probability("probs") >= 0.8` is a judge. A threshold may be an `oh.Input`, so that it can be tuned at run
time. `&`, `|` and `~` combine judges, those that users made themselves included.

A row is what axis 0 counts; a tensor of one axis is one row of classes. Where a row has several scores (of a tensor
with more axes), all have to hold. A row that cannot be judged is never accepted, under `~` neither: one that holds NaN,
a probability that is infinite, no elements, or logits that have no softmax.
"""

from onnxhybrid.compose.judge.equality import equals
from onnxhybrid.compose.judge.learned import learned
from onnxhybrid.compose.judge.length import length
from onnxhybrid.compose.judge.numeric import entropy, logit_max, margin, max_probability, value

__all__ = ["entropy", "equals", "learned", "length", "logit_max", "margin", "max_probability", "value"]
