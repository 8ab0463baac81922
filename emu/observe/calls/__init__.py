"""Calls of guest functions: followed to their returns, kept as stacks and trees, and who has called whom now."""
