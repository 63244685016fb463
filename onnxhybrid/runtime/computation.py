"""How a session computes: the shortest way into ONNX Runtime that gives what `InferenceSession.run` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from onnxhybrid.runtime import values
from onnxhybrid.runtime.texts import exact, text_inputs

Computation = Callable[
    [onnxruntime.InferenceSession, Sequence[str] | None, Mapping[str, Any], onnxruntime.RunOptions], Sequence[Any]
]
"""The session, outputs to compute (None for all), feeds and options to outputs."""

_PLAIN = frozenset({"CPUExecutionProvider", "AzureExecutionProvider"})
_ARRAYS = frozenset({np.ndarray})


def computation(session: onnxruntime.InferenceSession) -> Computation:
    """The computation of a session, which does not hold the session: it is freed with its last user.

    It raises OH543 for a feed that should be text and is none.
    """
    way = _way(session)
    texts = text_inputs([*session.get_inputs(), *session.get_overridable_initializers()])
    if not texts:
        return way

    def run(
        session: onnxruntime.InferenceSession,
        output_names: Sequence[str] | None,
        feeds: Mapping[str, Any],
        run_options: onnxruntime.RunOptions,
    ) -> Sequence[Any]:
        return way(session, output_names, exact(feeds, texts), run_options)

    return run


def _way(session: onnxruntime.InferenceSession) -> Computation:
    """The shortest way that the session's own types and providers allow.

    `InferenceSession.run` checks the feeds and the state of providers in Python, which takes longer than all else that
    ONNX Runtime does for a small model. They are left out where it is plain that each would pass.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if values.needs_values([*inputs, *outputs]):
        return values.run
    whole: Computation = onnxruntime.InferenceSession.run
    if getattr(session, "_sess", None) is None or not _PLAIN.issuperset(session.get_providers()):
        return whole
    names = [output.name for output in outputs]
    required = frozenset(argument.name for argument in inputs if not argument.type.startswith("optional"))

    def run(
        session: onnxruntime.InferenceSession,
        output_names: Sequence[str] | None,
        feeds: Mapping[str, Any],
        run_options: onnxruntime.RunOptions,
    ) -> Sequence[Any]:
        if type(feeds) is dict and required <= feeds.keys() and _ARRAYS.issuperset(map(type, feeds.values())):
            found: Sequence[Any] = session._sess.run(output_names or names, feeds, run_options)
            return found
        return whole(session, output_names, feeds, run_options)

    return run
