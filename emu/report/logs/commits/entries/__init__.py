"""Templates of lines: an entry for each instruction of a block, made by native code where all follows from its bits."""
