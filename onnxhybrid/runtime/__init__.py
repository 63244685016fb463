"""Running: sessions, credentials, policy and statistics."""

from onnxhybrid.library import library_path
from onnxhybrid.runtime.picking import Picker
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.runtime.scope import register
from onnxhybrid.runtime.secret import Secret
from onnxhybrid.runtime.session import Session
from onnxhybrid.runtime.statistics import AuditStats, NodeStats

__all__ = ["AuditStats", "NodeStats", "Picker", "Policy", "Secret", "Session", "library_path", "register"]
