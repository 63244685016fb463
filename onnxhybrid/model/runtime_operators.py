"""The operators of ONNX Runtime itself, which run in the place of functions of their names."""

from __future__ import annotations

import functools
from typing import Any

from onnxhybrid.model.functions import Key
from onnxhybrid.model.remote_spec import DOMAIN

_RESERVED = ("", "ai.onnx.ml", DOMAIN)
"""Domains in which no function is ever looked up: an operator has the name, or the model does not load."""


def outranks(function: Key) -> bool:
    """Whether an operator of ONNX Runtime runs in the place of a function of this name, whatever types it is given."""
    domain, name, _ = function
    return domain in _RESERVED or name in runtime_operators().get(domain, ())


@functools.cache
def runtime_operators() -> dict[str, frozenset[str]]:
    """The operators of the installed ONNX Runtime by domain, as far as it tells."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    listed: list[Any] = getattr(state, "get_all_operator_schema", list)()
    domains: dict[str, set[str]] = {}
    for schema in listed:
        domains.setdefault(schema.domain, set()).add(schema.name)
    return {domain: frozenset(names) for domain, names in domains.items()}
