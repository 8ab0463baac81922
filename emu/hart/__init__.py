"""The hart: privilege, traps, interrupts and CSRs, as the privileged manual has them."""
