"""Models that others made, and what is done with each: the test of all combinators on what they were not written for.

`python -m benchmarks.corpus` runs all of it; `tests/test_corpus.py` a sample.
"""
