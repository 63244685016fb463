"""Real servers that the tests and the benchmarks talk to."""
