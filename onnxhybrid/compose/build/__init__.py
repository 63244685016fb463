"""What every combinator builds with: parts, the graph that they share, nodes between them, and the finishing step."""
