"""Relocatable objects: their model, and how they are read from and written to ELF files."""
