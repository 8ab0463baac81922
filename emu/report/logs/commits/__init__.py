"""Spike's log: what it says of an instruction, how lines are made in bulk, and who writes them."""
