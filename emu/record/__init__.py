"""Recordings of runs: written while the guest executes, read and decoded afterwards."""
