"""What helps to test compositions: `onnxhybrid.testing.strategies`, for Hypothesis."""
