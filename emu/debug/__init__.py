"""Debugging: other people's debuggers, attached to the machine."""
