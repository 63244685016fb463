"""What a wheel asks of a system, as auditwheel sees it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from building.library import BuildError
from building.targets import TOOLS, Target


def require_tag(wheel: Path, target: Target) -> None:
    """Refuse a wheel whose library asks for more than its tag says.

    Raises:
        BuildError: it does.
    """
    command = [str(TOOLS / "bin" / "auditwheel"), "show", "--json", str(wheel)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["overall_tag"]
    if found != target.tag:
        raise BuildError(f"{wheel.name} is tagged {target.tag}, and auditwheel finds {found}")
