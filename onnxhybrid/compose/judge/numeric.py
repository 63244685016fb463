"""The judges of numbers: of the probabilities of classes, of logits, of values as they stand."""

from __future__ import annotations

from onnxhybrid.compose.judge.score import Score
from onnxhybrid.errors import ComposeError


def max_probability(tensor: str, *, softmax: bool = False, dtype: str = "float32") -> Score:
    """The largest probability of each row.

    Args:
        tensor: the local output of probabilities; the last axis is the classes'.
        softmax: whether it holds logits, which are turned into probabilities first.
        dtype: float32 or float64, in which the score is computed and compared; a cascade casts what the output holds.

    Raises:
        ComposeError: OH208, an argument has a value that it cannot have.
    """
    return _of_probabilities("max_probability", tensor, softmax, dtype)


def margin(tensor: str, *, softmax: bool = False, dtype: str = "float32") -> Score:
    """The largest probability of each row less the second largest; one class alone cannot be judged.

    Args and raises as of max_probability.
    """
    return _of_probabilities("margin", tensor, softmax, dtype)


def entropy(tensor: str, *, softmax: bool = False, dtype: str = "float32") -> Score:
    """The entropy of each row in nats, -Σ p·ln p with 0·ln 0 = 0; the surer the smaller, so compare with `<=`.

    Args and raises as of max_probability. A negative probability cannot be judged.
    """
    return _of_probabilities("entropy", tensor, softmax, dtype)


def logit_max(tensor: str, *, dtype: str = "float32") -> Score:
    """The largest number of each row as it stands: a logit, a distance, an energy. Infinities are numbers here.

    Args and raises as of max_probability.
    """
    return Score(tensor, dtype, "logit_max", dtype)


def value(tensor: str, *, dtype: str = "float32") -> Score:
    """The numbers of each row as they stand: a score, a count, a distance; each of them has to hold.

    Args:
        tensor: the local output, of any shape: a scalar is one row.
        dtype: float32 or float64, in which it is compared; float64 tells whole numbers up to 2**53 apart.

    Raises:
        ComposeError: OH208, an argument has a value that it cannot have.
    """
    return Score(tensor, dtype, "value", dtype)


def _of_probabilities(kind: str, tensor: str, softmax: bool, dtype: str) -> Score:
    if not isinstance(softmax, bool):
        raise ComposeError("OH208", f"softmax is True or False, not {softmax!r}")
    return Score(tensor, dtype, f"{kind}_of_logits" if softmax else kind, dtype)
