"""What of a program was executed: as text, as a page, and as lcov's tracefiles."""
