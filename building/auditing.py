"""What a wheel asks of a system, as auditwheel and delvewheel see it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from building.targets import TOOLS, BuildError, Target


def require_tag(wheel: Path, target: Target) -> None:
    """Refuse a wheel whose library asks for more than its tag says.

    Raises:
        BuildError: it does.
    """
    if target.glibc:
        found = json.loads(_said("auditwheel", "show", "--json", str(wheel)))["overall_tag"]
        if found != target.tag:
            raise BuildError(f"{wheel.name} is tagged {target.tag}, and auditwheel finds {found}")
    else:
        said = _said("delvewheel", "show", "--analyze-existing", str(wheel))
        if "will be copied into the wheel.\n    None\n" not in said:
            raise BuildError(f"{wheel.name} asks for libraries that no Windows has:\n{said}")


def _said(program: str, *words: str) -> str:
    return subprocess.run([str(TOOLS / "bin" / program), *words], capture_output=True, text=True, check=True).stdout
