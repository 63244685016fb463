"""`Scorer`: what a fit gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from onnxhybrid.compose.build.steps import Steps
from onnxhybrid.compose.judge.learned import Compiled
from onnxhybrid.errors import Error
from onnxhybrid.model import TensorSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scorer:
    """A score for each row of the local model: the probability that its answer is good, as far as a fit can tell.

    `oh.judge.learned(scorer) >= 0.8` makes a judge of it.

    Attributes:
        kind: "logistic", "trees", or "max_probability" where no learned score was better.
        reason: why this kind, in words.
        shares: the share of rows that each kind would send, in cross-validation: the mean over how many of the rows
            that are not good are to be found, from half of them to 95 %. Empty where nothing could be learned.
        rows: on how many rows it was fitted.
        compiled: the score as a function.
    """

    kind: str
    reason: str
    shares: Mapping[str, float]
    rows: int
    compiled: Compiled

    @property
    def reads(self) -> tuple[str, ...]:
        """The tensors of the local model that it reads: that of the probabilities first."""
        return tuple(spec.name for spec in self.compiled.tensors)

    def score(self, outputs: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """The score of each row, by the graph that a file holds.

        Args:
            outputs: the tensors that `reads` names, with rows along the first axis; others are left alone.

        Returns:
            float32[n]; NaN for a row that holds NaN or an infinity, which no judge accepts.

        Raises:
            Error: OH627, a tensor is missing or has another form than in the fit.
        """
        if not isinstance(outputs, Mapping):
            raise Error("OH627", f"outputs is a mapping of tensors by name, not {type(outputs).__name__}")
        if missing := [name for name in self.reads if name not in outputs]:
            raise Error(
                "OH627", f"the scorer reads {', '.join(map(repr, self.reads))}, and {missing[0]!r} is not given"
            )
        feeds = {spec.name: np.asarray(outputs[spec.name]) for spec in self.compiled.tensors}
        try:
            feeds = {spec.name: feeds[spec.name].astype(spec.dtype, copy=False) for spec in self.compiled.tensors}
            found: npt.NDArray[np.float32] = self._session.run(None, feeds)[0]
        except Exception as problem:  # noqa: BLE001 - the errors of ONNX Runtime have no other base
            shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in feeds.items())
            raise Error("OH627", f"the scorer cannot read {shapes}: {problem}") from None
        return found

    @cached_property
    def _session(self) -> Any:
        steps = Steps("scorer", self.compiled.tensors)
        steps.call(self.compiled.function, self.reads, ["score"], node="score")
        proto = steps.model([TensorSpec("score", "float32", (None,))]).to_proto()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised
        return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def __str__(self) -> str:
        return f"{self.kind}, fitted on {self.rows} rows; {self.reason}"
