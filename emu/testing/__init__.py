"""Tests of kernels: typed calls of guest functions, and what pytest needs to know of machines."""
