"""Facts of the instruction set: privilege levels, causes, registers, CSRs and their fields."""
