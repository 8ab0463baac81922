"""The teaching kernel in RISC-V assembly, its profiles, and how it is built."""
