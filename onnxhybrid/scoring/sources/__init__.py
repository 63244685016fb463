"""The files that are scored: finding them, cutting them into pieces, and reading a piece's rows."""
