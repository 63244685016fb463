"""Releases of ONNX Runtime beside each other: which models each loads, and whether `validate` says so.

`python -m benchmarks.matrix` is what `make matrix` runs.
"""
