"""Trap causes (privileged manual, table 3.6: mcause; table 4.2: scause)."""

from enum import IntEnum

from emu.isa.privilege import Access

INTERRUPT_BIT = 1 << 63
"""The bit of `mcause` and `scause` that tells an interrupt from an exception."""


class ExceptionCause(IntEnum):
    """Synchronous exceptions.

    >>> ExceptionCause(13).label
    'load page fault'
    """

    INSTRUCTION_MISALIGNED = 0
    INSTRUCTION_ACCESS_FAULT = 1
    ILLEGAL_INSTRUCTION = 2
    BREAKPOINT = 3
    LOAD_MISALIGNED = 4
    LOAD_ACCESS_FAULT = 5
    STORE_MISALIGNED = 6
    STORE_ACCESS_FAULT = 7
    ECALL_FROM_U = 8
    ECALL_FROM_S = 9
    ECALL_FROM_M = 11
    INSTRUCTION_PAGE_FAULT = 12
    LOAD_PAGE_FAULT = 13
    STORE_PAGE_FAULT = 15

    @property
    def label(self) -> str:
        """The cause as one reads it in a sentence."""
        return _EXCEPTION_LABELS.get(self, self.name.lower().replace("_", " "))


class InterruptCause(IntEnum):
    """Interrupts; the number is also the bit in `mip` and `mie`.

    >>> InterruptCause.SUPERVISOR_TIMER.label
    'supervisor timer interrupt'
    """

    SUPERVISOR_SOFTWARE = 1
    MACHINE_SOFTWARE = 3
    SUPERVISOR_TIMER = 5
    MACHINE_TIMER = 7
    SUPERVISOR_EXTERNAL = 9
    MACHINE_EXTERNAL = 11

    @property
    def label(self) -> str:
        """The cause as one reads it in a sentence."""
        return self.name.lower().replace("_", " ") + " interrupt"


_EXCEPTION_LABELS = {
    ExceptionCause.ECALL_FROM_U: "ecall from U mode",
    ExceptionCause.ECALL_FROM_S: "ecall from S mode",
    ExceptionCause.ECALL_FROM_M: "ecall from M mode",
}

PAGE_FAULTS = {
    Access.FETCH: ExceptionCause.INSTRUCTION_PAGE_FAULT,
    Access.LOAD: ExceptionCause.LOAD_PAGE_FAULT,
    Access.STORE: ExceptionCause.STORE_PAGE_FAULT,
}
"""The page-fault cause of each kind of access."""

ACCESS_FAULTS = {
    Access.FETCH: ExceptionCause.INSTRUCTION_ACCESS_FAULT,
    Access.LOAD: ExceptionCause.LOAD_ACCESS_FAULT,
    Access.STORE: ExceptionCause.STORE_ACCESS_FAULT,
}
"""The access-fault cause of each kind of access."""

FAULTED_ACCESS = {int(cause): access for table in (PAGE_FAULTS, ACCESS_FAULTS) for access, cause in table.items()}
"""The kind of access by cause, of page faults and access faults."""


def cause_label(cause: int, *, interrupt: bool) -> str:
    """The name of a cause in lower case, also for numbers that the manual reserves.

    >>> cause_label(15, interrupt=False), cause_label(5, interrupt=True), cause_label(24, interrupt=False)
    ('store page fault', 'supervisor timer interrupt', 'exception 24')
    """
    try:
        return InterruptCause(cause).label if interrupt else ExceptionCause(cause).label
    except ValueError:
        return f"{'interrupt' if interrupt else 'exception'} {cause}"
