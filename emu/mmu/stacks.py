"""Whether two address spaces have the same memory at a stack pointer: some kernels map each process's stack alike."""

from emu.isa.privilege import Access, Privilege
from emu.isa.status import SATP_ASID_SHIFT
from emu.mmu.walk import ReadPte, walk

_ALL = (1 << 64) - 1
_ASID = 0xFFFF << SATP_ASID_SHIFT


def is_other_stack(read_word: ReadPte, old: int, new: int, stack_pointer: int) -> bool:
    """Whether a kernel's stack is mapped by both values of `satp`, and to different memory.

    The byte below the stack pointer counts, which may be the stack's end; else the one there.
    """
    if (old ^ new) & ~_ASID == 0:
        return False
    for place in (stack_pointer - 1 & _ALL, stack_pointer):
        before, after = (
            walk(read_word, satp, place, Access.LOAD, Privilege.S, sum_bit=True, mxr=True).physical
            for satp in (old, new)
        )
        if before is not None and after is not None:
            return before != after
    return False
