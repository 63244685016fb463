"""What identifies the parts of a cascade: hashes that names do not enter, and which any other change changes."""

from __future__ import annotations

import hashlib

from onnxhybrid.compose.cascade.anatomy import Anatomy, anatomy
from onnxhybrid.model import Model, audits
from onnxhybrid.model.fingerprint import fingerprints


def identity(model: Model, output: str, cascade: Anatomy | None = None) -> dict[str, str]:
    """The hashes of the parts of the cascade that answers an output: `local`, `judge`, `remote` and `output`.

    The threshold's default is in none of them. `remote` covers what is asked and what is done with the answer, and not
    what local answers or how it is judged. All weights are read.

    Raises:
        Error: as `anatomy`.
        ModelError: OH107, weights cannot be read.
    """
    cascade = cascade or anatomy(model, output)
    limit = {cascade.threshold.name: b"threshold"}
    skeleton = audits.without(model.skeleton)
    # What the choice waits for, such as an audit, is none of the parts; what it decides by is the judge's.
    chosen = limit | {cascade.condition: b"choice"}
    asked = {cascade.verdict: b"verdict"} | chosen
    asked |= {tensor: f"answer {place}".encode() for place, tensor in enumerate(cascade.answers.values())}
    whole, answered, remote = fingerprints(skeleton, model.weights, limit, chosen, asked)
    fixed = {tensor.name for tensor in skeleton.graph.initializer}  # flags where nothing was asked are
    local = b"".join(whole.get(tensor, b"") for tensor in cascade.answers.values() if tensor not in fixed)
    parts = {
        "local": local,
        "judge": b"".join(whole.get(tensor, b"") for tensor in dict.fromkeys((cascade.verdict, cascade.decision))),
        "remote": remote[output],
        "output": answered[output],
    }
    return {name: _shown(found) for name, found in parts.items()}


def _shown(digest: bytes) -> str:
    """The hash as text; of several together, of all of them."""
    return digest.hex() if len(digest) == _SIZE else hashlib.sha256(digest).hexdigest()


_SIZE = 32
