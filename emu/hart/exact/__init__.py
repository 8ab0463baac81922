"""Fidelity `exact`: the privileged architecture is a model in Python, which the core asks about everything."""
