"""A guest in front of a user: keys, signals and limits around the machine's own loop, and how a run ended."""
