"""GNU's command lines: as, ld and the tools that look into their output."""
