"""Calls of guest functions in native steps: one of them, or many with an input each."""
