"""The instruction set as data: one module of rows for each extension, in the manual's own bit notation."""
