"""The assembler: GNU syntax in, a relocatable object out."""
