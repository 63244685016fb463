"""What leaves the device: of each remote call, which inputs it depends on, where they go, and how much at most."""

from onnxhybrid.disclosure.finding import egress
from onnxhybrid.disclosure.outflow import Egress, Outflow

__all__ = ["Egress", "Outflow", "egress"]
