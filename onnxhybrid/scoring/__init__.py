"""Many rows, once each: files in, files out, whatever dies in between."""
