"""What every combinator builds with: parts, one graph that they share, glue between them, and the finishing step."""
