"""The words of the command line: how they are read, which there are, and what they come to."""
