"""Grading: a teacher's pytest file against students' kernels, each in a process of its own with limits."""
