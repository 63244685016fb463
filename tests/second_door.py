"""Plain sessions whose execution provider is the operator library."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import onnxruntime

import onnxhybrid as oh

NAME = "OnnxHybridExecutionProvider"


@functools.cache
def devices() -> list[Any]:
    """The device that the library's execution provider is appended by; the library is registered once a process."""
    if not _registered():  # an example of a page may have done so
        onnxruntime.register_execution_provider_library("onnxhybrid", oh.library_path())
    return _registered()


def _registered() -> list[Any]:
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == NAME]


def options(**settings: object) -> onnxruntime.SessionOptions:
    """Options with the execution provider, whose options are these: texts, or what becomes JSON."""
    made = onnxruntime.SessionOptions()
    made.log_severity_level = 4
    made.add_provider_for_devices(devices(), texts(settings))
    return made


def texts(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings as the execution provider's options have them."""
    return {name: given if isinstance(given, str) else json.dumps(given) for name, given in settings.items()}


def opened(model: oh.Model, **settings: object) -> onnxruntime.InferenceSession:
    """A session of the model whose execution provider has these options."""
    return onnxruntime.InferenceSession(model.to_proto().SerializeToString(), options(**settings))


def entries(**given: object) -> onnxruntime.RunOptions:
    """The options of a run with these of our configuration entries."""
    made = onnxruntime.RunOptions()
    made.log_severity_level = 4
    for name, value in given.items():
        made.add_run_config_entry(f"onnxhybrid.{name}", str(value))
    return made
