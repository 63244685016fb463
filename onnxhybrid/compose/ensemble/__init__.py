"""`ensemble`, and the ways in which it makes one answer of several."""
