"""The teaching kernel in RISC-V assembly, its profiles, and how it is built."""

DISTRIBUTION = "ekernel"
"""Whose package this is: the name is short, and others may have it too."""
