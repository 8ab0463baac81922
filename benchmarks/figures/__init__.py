"""The parts of the machine's benchmark."""
