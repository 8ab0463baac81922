"""The machine that runs any RV64 ELF and tells what it does to memory."""
