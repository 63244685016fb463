"""Files that one of many works with at a time."""

from __future__ import annotations

from types import ModuleType
from typing import IO

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None


def is_taken(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; true where somebody else has it, as far as the system can tell."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        pass
    return False
