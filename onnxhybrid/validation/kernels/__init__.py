"""What a runtime has kernels for on the CPU, operator by operator, version by version and type by type."""

from onnxhybrid.validation.kernels.search import Lack, lacking
from onnxhybrid.validation.kernels.table import Kernel, Table, installed, of_release

__all__ = ["Kernel", "Lack", "Table", "installed", "lacking", "of_release"]
