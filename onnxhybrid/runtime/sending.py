"""What lies in files beside a model, and may not be sent: files of whoever runs the model, not of whoever wrote it."""

from __future__ import annotations

from onnxhybrid.errors import PolicyDenied
from onnxhybrid.model import Model
from onnxhybrid.model.storage.sources import InFile
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.validation.rules.files import sendings
from onnxhybrid.validation.subject import Subject
from onnxhybrid.validation.target import Target


def require_unsent(model: Model, policy: Policy | None) -> None:
    """Refuse a model that sends what lies in a file which the policy lets no remote call have.

    Raises:
        PolicyDenied: OH580.
    """
    allowed = policy.sends if policy is not None else None
    files = [source for source in model.weights.values() if isinstance(source, InFile) and source.tensor is not None]
    if allowed or not any(source.stray or allowed is False for source in files):
        return
    for sending in sendings(Subject(model, Target.installed())):
        if sending.stray or allowed is False:
            message = (
                f"the node {sending.node.name!r} is given what lies in the file {sending.path}, which would be sent to "
                "its endpoint; if it may be, say so with send_external_data=True among the arguments of the policy"
            )
            raise PolicyDenied("OH580", message)
