"""The page's call from JavaScript, in Node, to the embedded endpoint."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import onnxhybrid as oh
from tests.recipes import classifier

PAGE = (Path(__file__).parent.parent / "docs" / "platforms.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_what_the_page_fetches_is_what_the_model_gives(tmp_path: Path) -> None:
    [code] = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
    model = classifier(3)
    with oh.endpoint.serve({"hybrid": model}) as server:
        (tmp_path / "ask.mjs").write_text(f'const url = "{server.url}";\n{code}', encoding="utf-8")
        done = subprocess.run(["node", "ask.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    (label,) = oh.Session(model).run(["label"], {"image": np.zeros((1, 64), np.float32)})
    assert done.stdout.split() == ["[", str(label[0]), "]"]
