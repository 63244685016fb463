"""`engine="ray"`: actors of a Ray cluster that score pieces."""
