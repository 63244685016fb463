"""The endpoint's log: where nobody listens to it, it is written to stderr, as Python does of itself.

The package's own logger has a handler that drops everything, as that of a library should; it would take Python's last
resort from the loggers below it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import final


@final
class _LastResort(logging.Handler):
    """Gives a record to `logging.lastResort` where it comes to no other handler."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, if nobody else does."""
        if logging.lastResort is not None and not any(map(self._is_other, _handlers())):
            logging.lastResort.handle(record)

    def _is_other(self, handler: logging.Handler) -> bool:
        return handler is not self and not isinstance(handler, logging.NullHandler)


def _handlers() -> Iterator[logging.Handler]:
    logger: logging.Logger | None = LOG
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


LOG = logging.getLogger("onnxhybrid.endpoint")
"""What befell the endpoint's models, for whoever runs it."""

LOG.addHandler(_LastResort(logging.WARNING))
