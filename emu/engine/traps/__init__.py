"""Traps and returns from them, interrupts and fences, in native code: what the guest's model need not be asked for."""
