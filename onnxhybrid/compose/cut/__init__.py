"""`split`, `splice` and `offload`: a model cut at tensors that the caller names."""
