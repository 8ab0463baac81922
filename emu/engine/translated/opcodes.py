"""TCG's operations by name (QEMU 5.0's tcg/tcg-opc.h, in which every host's operations have the same numbers)."""

OPCODES = {
    "call": 2, "set_label": 1, "br": 3,
    "mov": 63, "movi": 64, "setcond": 65, "movcond": 66,
    "ld8u": 67, "ld8s": 68, "ld16u": 69, "ld16s": 70, "ld32u": 71, "ld32s": 72, "ld": 73,
    "st8": 74, "st16": 75, "st32": 76, "st": 77,
    "add": 78, "sub": 79, "mul": 80, "and": 87, "or": 88, "xor": 89, "shl": 90, "shr": 91, "sar": 92, "brcond": 103,
    "insn_start": 129, "exit_tb": 130, "goto_tb": 131, "goto_ptr": 132, "qemu_ld": 135, "qemu_st": 136,
}  # fmt: skip
"""All but the first row and the last are for 64-bit values."""
EXITS = ("exit_tb", "goto_tb", "goto_ptr")
"""What a block of the core's is left by; `goto_ptr` goes by the call in front of it, which looks for the next block."""
CONDITIONS = {"never": 0, "always": 1, "eq": 8, "ne": 9, "lt": 2, "ge": 3, "le": 10, "gt": 11, "ltu": 4, "geu": 5}
WRITES_ITS_FIRST_ARGUMENT = (*range(63, 74), *range(78, 103), *range(104, 129))
"""Opcodes of 64-bit operations whose first argument is their result."""
TB_EXIT_REQUESTED = 3
NO_READ_WRITE_GLOBALS = 1 | 2
"""Flags of a call: it neither reads nor writes what the translator keeps of the state in registers."""
