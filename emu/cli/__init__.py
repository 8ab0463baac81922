"""The `ekernel` command."""
