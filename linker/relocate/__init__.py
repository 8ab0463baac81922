"""Relocation: values into instruction and data fields."""
