"""Records of accesses and register writes, packed: what differs from a prediction."""
