"""What a link writes: the ELF executable and the map."""
