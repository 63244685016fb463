"""How a run is ended from outside while it computes: by `RunOptions.terminate`, at which ONNX Runtime looks."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import onnxruntime


@dataclass
class _Shared:
    """Options, and the runs that have them."""

    options: onnxruntime.RunOptions
    runs: int = 0
    ended: int = 0
    ours: bool = False

    def settle(self) -> None:
        """Let the options say whether all of their runs are to end; a `terminate` of the user's own stays."""
        if 0 < self.runs == self.ended:
            if not self.options.terminate:
                self.options.terminate = self.ours = True
        elif self.ours:
            self.options.terminate = self.ours = False


_shared: dict[int, _Shared] = {}
_lock = threading.RLock()  # a signal handler may end a run while its thread begins another


class Ending:
    """A run under way, as it can be ended from any thread.

    Options belong to the user, who may give the same to several runs: those are ended once each of them is to end.
    """

    def __init__(self, options: onnxruntime.RunOptions) -> None:
        self._ended = False
        with _lock:
            self._shared: _Shared | None = _shared.setdefault(id(options), _Shared(options))
            self._shared.runs += 1
            self._shared.settle()

    def close(self) -> None:
        """Say that the run is over; the options are as they were."""
        with _lock:
            shared, self._shared = self._shared, None
            if shared is None:
                return
            shared.runs -= 1
            shared.ended -= self._ended
            shared.settle()
            if not shared.runs:
                _shared.pop(id(shared.options), None)

    def end(self) -> None:
        """End the run; nothing if it is over."""
        with _lock:
            if self._shared is not None and not self._ended:
                self._ended = True
                self._shared.ended += 1
                self._shared.settle()
