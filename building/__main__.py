"""`python -m building PLATFORM…`: wheels into `dist/`, checked; that of this machine's kind is tried as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from building import auditing, library, pythons, trying, wheel
from building.targets import NAMED, X86_64, BuildError, Target


def main(names: list[str]) -> str | None:
    """Build the wheels of platforms; gives what is wrong, or None."""
    try:
        for name in names:
            path = _made(NAMED[name])
            if NAMED[name] == X86_64:
                _tried(path, X86_64)
            else:
                print(f"{path}: {path.stat().st_size:,} bytes")
    except (BuildError, subprocess.CalledProcessError) as problem:
        return f"no wheel: {problem}"
    return None


def _made(target: Target) -> Path:
    path = wheel.assemble(target, library.build(target))
    auditing.require_tag(path, target)
    return path


def _tried(path: Path, target: Target) -> None:
    """Run the tests in an environment of each Python that is found."""
    interpreters = pythons.found()
    for release, interpreter in interpreters.items():
        print(f"{path.name} on Python {release}", flush=True)
        trying.test(trying.install(release, interpreter, path), target)
    missing = [release for release in pythons.SUPPORTED if release not in interpreters]
    print(f"{path}: {path.stat().st_size:,} bytes, runs on Python {', '.join(interpreters)}")
    if missing:
        print(f"not tried, since they are not installed here: Python {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["x86-64"]))
