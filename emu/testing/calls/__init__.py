"""Guest functions as Python functions: with their C types, by the calling convention of the RISC-V psABI."""
