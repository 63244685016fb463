"""Operators of the standard without a kernel in a version that the runtime reads: see `benchmarks.kernels`.

There is one for an earlier version. Written by `python -m benchmarks.kernels`, which asks onnxruntime 1.16 and later;
1.14 and 1.15 do not tell.
"""

from __future__ import annotations

MISSING: dict[tuple[str, int], tuple[tuple[int, int], tuple[int, int]]] = {
    ("Bernoulli", 22): ((1, 21), (1, 32)),
    ("DequantizeLinear", 28): ((1, 32), (1, 32)),
    ("GlobalLpPool", 22): ((1, 21), (1, 32)),
    ("LpNormalization", 22): ((1, 21), (1, 24)),
    ("MaxRoiPool", 22): ((1, 21), (1, 32)),
    ("Multinomial", 22): ((1, 21), (1, 32)),
    ("Optional", 28): ((1, 32), (1, 32)),
    ("OptionalGetElement", 28): ((1, 32), (1, 32)),
    ("OptionalHasElement", 28): ((1, 32), (1, 32)),
    ("QLinearMatMul", 21): ((1, 18), (1, 19)),
    ("QuantizeLinear", 28): ((1, 32), (1, 32)),
    ("RandomNormal", 22): ((1, 21), (1, 32)),
    ("RandomNormalLike", 22): ((1, 21), (1, 32)),
    ("RandomUniform", 22): ((1, 21), (1, 32)),
    ("RandomUniformLike", 22): ((1, 21), (1, 32)),
    ("RoiAlign", 22): ((1, 21), (1, 32)),
}
"""operator, and the opset that brought a version of it -> the first and last onnxruntime without a kernel for it"""
