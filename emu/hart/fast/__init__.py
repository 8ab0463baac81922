"""Fidelity `fast`: the core's own page walker and the CSRs that execution needs all the time."""
