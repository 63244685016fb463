"""Make the set of hybrids in a folder, and run it by a program while its servers are there.

    python -m tests.bindings FOLDER                             makes the set, and serves it until its input ends
    python -m tests.bindings FOLDER -- PROGRAM ARGUMENTS…       runs the program, and tells what came out otherwise

The program gets SET, LIST and OUT behind its arguments (tests/bindings/__init__.py). `--prefix Z:` stands before their
paths, for Wine. The exit status is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bindings.suite import differences, made, served


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder, which is not there yet")
    parser.add_argument("--prefix", default="", help="what stands before paths that the program is given")
    parser.add_argument("program", nargs="*", help="the program and its arguments, behind --")
    given = parser.parse_args()
    with served() as servers:
        suite = made(given.folder.absolute(), servers)
        if not given.program:
            print(f"{suite.folder} has {len(suite.expected)} hybrids; their servers are there until the input ends")
            sys.stdout.flush()
            sys.stdin.read()
            return 0
        with tempfile.TemporaryDirectory() as results:
            suite.run(given.program, Path(results), prefix=given.prefix)
            found = differences(suite, Path(results))
    for name, text in found.items():
        print(f"{name}: {text}")
    print(f"{len(suite.expected) - len(found)} of {len(suite.expected)} hybrids are as they are in Python")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
