"""Fuzzing: a guest function is executed with inputs that lead to where none before them has led."""
