"""The machine that runs any RV64 ELF and tells what it does to memory."""

DISTRIBUTION = "ekernel"
"""Whose package this is: the name is short, and others may have it too."""
