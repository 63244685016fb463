"""How fast the operator is, beside the official clients."""
