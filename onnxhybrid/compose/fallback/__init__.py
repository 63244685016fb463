"""`fallback`: remote failures as data, and the answer that takes the place of what failed."""
