"""From source text to a bootable ELF: an assembler and a linker for RV64GC."""
