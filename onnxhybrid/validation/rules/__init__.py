"""The register of rules: one function a rule, each of which gives its findings about a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from onnxhybrid.diagnostics import Finding
from onnxhybrid.validation.rules import (
    branches,
    certificates,
    files,
    portability,
    provenance,
    remote,
    server,
    structure,
    types,
)
from onnxhybrid.validation.subject import Subject

Rule = Callable[[Subject], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    structure.sound,
    structure.tensors_only,
    structure.fits_operators,
    types.well_typed,
    portability.file_format,
    portability.standard_opset,
    portability.known_operators,
    portability.with_kernels,
    portability.known_domains,
    portability.old_operators,
    branches.same_types,
    branches.reachable,
    branches.decided_by_data,
    branches.no_shadows,
    branches.shared_weights,
    remote.protected_tokens,
    remote.protected_data,
    remote.keys_in_urls,
    remote.patience,
    remote.outputs_used,
    remote.flags_read,
    remote.no_loops,
    files.named_files,
    files.files_sent,
    provenance.told,
    provenance.told_truly,
    certificates.certified_truly,
)
"""Every rule that looks at the model alone, in the order of a report."""

ONLINE: tuple[Rule, ...] = (server.agrees,)
"""The rules that ask servers."""
