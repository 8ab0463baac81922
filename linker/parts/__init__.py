"""The parts that a link is made of: input files and sections, output sections, regions, segments, symbols."""
