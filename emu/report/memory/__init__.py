"""Who holds frames and blocks, and what memory looks like, for people."""
