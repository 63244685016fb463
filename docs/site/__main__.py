"""Builds the site: `python -m docs.site`, from the root of the checkout, into build/site.

A warning, a broken link or anchor, a page outside of the navigation, and anything that a page would load from another
host are errors.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs.site import checking, searching, staging

_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def main() -> int:
    """Lay out, build, check."""
    folder, site = staging.ROOT / "build" / "site-source", staging.ROOT / "build" / "site"
    for old in (folder, site):
        shutil.rmtree(old, ignore_errors=True)
    faults = _built(staging.lay_out(folder))
    if not faults:
        (folder / "site").rename(site)
        index = site / "search.json"
        index.write_text(searching.trimmed(index.read_text(encoding="utf-8")), encoding="utf-8")
        faults = [*checking.faults(site), *checking.missing(site, staging.DOCS / "reference")]
    print(*faults, sep="\n", file=sys.stderr, end="\n" * bool(faults))
    return 1 if faults else 0


def _built(configuration: Path) -> list[str]:
    """Build; gives what was said, where that is more than that all is well."""
    zensical = Path(sys.executable).parent / "zensical"
    command = [str(zensical), "build", "--strict", "--clean", "--config-file", str(configuration)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = _COLOURS.sub("", done.stdout)
    return [said] if done.returncode or re.search("griffe|warning", said, re.IGNORECASE) else []


if __name__ == "__main__":
    sys.exit(main())
