"""What a native function keeps for its caller on x86-64, where pairs of registers are no instruction (System V ABI)."""

_KEPT = ("rbx", "rbp", "r12", "r13", "r14", "r15")
SAVE = "\n".join(f"push {name}" for name in _KEPT)
"""At the begin of one that uses them all: `rsp` is a multiple of 16 less 8 behind it, as it was before the call."""
RESTORE = "\n".join(f"pop {name}" for name in reversed(_KEPT))
"""Before its `ret`."""
