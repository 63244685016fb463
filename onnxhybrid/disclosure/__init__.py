"""What leaves the device: of each remote call, which inputs it depends on, where they go, and how much at most."""

from onnxhybrid.disclosure.egress import Egress, Outflow
from onnxhybrid.disclosure.finding import egress

__all__ = ["Egress", "Outflow", "egress"]
