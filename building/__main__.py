"""`python -m building`: wheels, checked and tried, into `dist/`."""

from __future__ import annotations

import subprocess
import sys

from building import auditing, library, pythons, trying, wheel
from building.library import BuildError
from building.targets import X86_64, Target


def main() -> str | None:
    """Build the wheel of this machine's kind and try it; gives what is wrong, or None."""
    try:
        _made(X86_64)
    except (BuildError, subprocess.CalledProcessError) as problem:
        return f"no wheel: {problem}"
    return None


def _made(target: Target) -> None:
    path = wheel.assemble(target, library.build(target), library.linked_by_zig())
    auditing.require_tag(path, target)
    interpreters = pythons.found()
    for release, interpreter in interpreters.items():
        print(f"{path.name} on Python {release}", flush=True)
        trying.test(trying.install(release, interpreter, path), target)
    missing = [release for release in pythons.SUPPORTED if release not in interpreters]
    print(f"{path}: {path.stat().st_size:,} bytes, runs on Python {', '.join(interpreters)}")
    if missing:
        print(f"not tried, since they are not installed here: Python {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(main())
