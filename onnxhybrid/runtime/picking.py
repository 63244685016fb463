"""`Picker`: the better of two answers that were computed side by side, as a judge says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from onnxhybrid.errors import ComposeError, Error
from onnxhybrid.model import Model
from onnxhybrid.runtime.session import Session

_Answer = TypeVar("_Answer")
_FLOATS = ("float16", "bfloat16", "float32", "float64")


class Picker:
    """Picks local's answer where a judge accepts it, and the other one where it does not: a cascade without its graph.

        better = Picker(oh.judge.max_probability("probs") >= 0.8)
        answer = better({"text": text, "probs": probs}, azure_text)

    Args:
        accept: the judge: a Model with one bool output that reads local's outputs by name.

    Raises:
        ComposeError: OH208, it is no such model.
    """

    def __init__(self, accept: Model) -> None:
        if not isinstance(accept, Model) or [spec.dtype for spec in accept.outputs] != ["bool"]:
            given = ", ".join(map(str, accept.outputs)) if isinstance(accept, Model) else type(accept).__name__
            raise ComposeError("OH208", f"a judge is a Model with one bool output, not {given}")
        self._inputs = accept.inputs
        self._session = Session(accept)

    def __call__(self, local: Mapping[str, Any], other: _Answer, **feeds: Any) -> Mapping[str, Any] | _Answer:
        """One of the two answers.

        Args:
            local: outputs of the local model, by name; the judge has to accept all rows.
            other: the other answer, in any form.
            feeds: what else the judge takes, as its threshold.

        Raises:
            Error: OH540, the judge reads what local does not hold, or of another type.
        """
        return local if self.accepts(local, **feeds) else other

    def accepts(self, local: Mapping[str, Any], **feeds: Any) -> bool:
        """Whether the judge accepts local's answer, all rows of it.

        Raises:
            Error: OH540, the judge reads what local does not hold, or of another type.
        """
        given = {**local, **feeds}
        read = [spec for spec in self._inputs if spec.name in given or not spec.optional]
        if missing := [spec.name for spec in read if spec.name not in given]:
            raise Error(
                "OH540", f"the judge reads {missing[0]!r}; local has {', '.join(map(repr, local)) or 'nothing'}"
            )
        (verdict,) = self._session.run(None, {spec.name: _as_read(given[spec.name], spec.dtype) for spec in read})
        return bool(np.all(verdict))


def _as_read(value: Any, dtype: str) -> Any:
    """A float array of another width as the judge takes it, as in a cascade; anything else as it is."""
    array = np.asarray(value)
    return array.astype(dtype) if array.dtype.name in _FLOATS and dtype in ("float32", "float64") else array
