"""The files that a model may name, and where they lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

from onnxhybrid.errors import ModelError

_WORD = r"data|weights?|bin|pb|params|external"
_ENDING = rf"(\.onnx)?([._-]({_WORD}|[0-9a-f]{{1,32}}))*[._-]({_WORD})([._-]?[0-9]+)*"
"""What follows the model's name, without its own ending, in the names that programs give to its data."""


class Files:
    """The files that a model in a file may name, with ONNX Runtime's rule for links.

    A location is looked up beside the path that the model was loaded from; the real file has to lie in that folder, or
    in the one where the model's real file lies. So a model is found in Hugging Face's cache, where both are links.
    """

    def __init__(self, model: Path) -> None:
        self._folder = model.parent
        self._allowed = {model.parent.resolve(), model.resolve().parent}
        self._known: dict[str, Path] = {}
        self._own = re.compile(re.escape(model.name.removesuffix(".onnx")) + _ENDING, re.IGNORECASE)

    def find(self, location: str) -> Path:
        """The path of a file.

        Raises:
            ModelError: OH107, it lies elsewhere, or its name has a hidden part.
        """
        if location not in self._known:
            self._known[location] = self._found(location)
        return self._known[location]

    def is_own(self, location: str, tensor: str, *, whole: bool) -> bool:
        """Whether a file is named after the model; or after the tensor whose data it is, the whole of it.

        Whoever writes a model names its tensors as well, but knows no stranger's files, nor how long they are.
        """
        name = Path(location).name
        of_tensor = whole and name in (tensor, re.sub(r"[^\w.-]", "_", tensor))
        return of_tensor or self._own.fullmatch(name) is not None

    def _found(self, location: str) -> Path:
        if any(part.startswith(".") and part.strip(".") for part in location.replace(os.sep, "/").split("/")):
            raise ModelError(
                "OH107",
                f"external data at {location!r} is hidden, as files are that hold keys and settings; give the file "
                "another name, and let the model name that",
            )
        path = Path(os.path.normpath(self._folder / location))
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError) as problem:  # a circle of links, a NUL
            raise ModelError("OH107", f"external data at {location!r} cannot be looked up: {problem}") from None
        if not location or Path(location).is_absolute() or not any(map(real.is_relative_to, self._allowed)):
            folders = " and ".join(sorted(str(folder) for folder in {self._folder, *self._allowed}))
            raise ModelError(
                "OH107",
                f"external data at {location!r} is the file {real}, which lies outside of the model's folder {folders}",
            )
        return path
