"""The name of the metadata entry that holds the recipe of a composed file (docs/metadata.md)."""

RECIPE = "onnxhybrid.yaml"
"""JSON: `yaml`, the recipe, and `graph`, a hash of the graph that it makes; onnxhybrid/recipe/ writes and reads it."""
