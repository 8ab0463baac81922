"""Finds memory that was never written where it decides something: KMSAN's reports, for kernels as they are."""
