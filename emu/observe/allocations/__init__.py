"""Allocations of any kernel: described allocators, followed calls, accounts of who holds what, leaks and mistakes."""
