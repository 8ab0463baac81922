"""Logs of a run in the formats of Spike, Sail and QEMU."""
