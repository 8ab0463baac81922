"""What the CSRs ask of their hart, and what reading and writing one is."""

from collections.abc import Callable
from typing import Protocol

from emu.isa.privilege import Privilege

Read = Callable[[], int | None]
"""None: the access is illegal at this moment."""
Write = Callable[[int], bool]
"""False: the access is illegal at this moment."""


class CsrOwner(Protocol):
    """What the CSRs need of the hart and its clock."""

    @property
    def privilege(self) -> Privilege:
        """The current privilege."""

    def status_written(self, old: int, new: int) -> None:
        """`mstatus` changed (FS is always reported as it was and as it is)."""

    def satp_written(self, old: int, new: int) -> None:
        """`satp` was written."""

    def protection_written(self) -> None:
        """A PMP register changed."""

    def interrupts_written(self) -> None:
        """`mip`, `mie` or `mideleg` changed: an interrupt may have become due."""

    def timer_written(self) -> None:
        """`stimecmp` or what enables it changed."""

    def retired(self) -> int:
        """Instructions retired before the one that is executing."""

    def cycles(self) -> int:
        """Cycles passed, of the clock that the machine goes by."""

    def time_now(self) -> int:
        """`mtime`."""

    def float_flags(self) -> int:
        """`fflags` as it is in the core."""

    def set_float_flags(self, value: int) -> None:
        """Write `fflags` in the core."""

    def rounding(self) -> int:
        """`frm` as it is in the core."""

    def set_rounding(self, value: int) -> None:
        """Write `frm` in the core."""

    def float_state_is_dirty(self) -> bool:
        """Whether an instruction changed a floating-point register since FS was last written."""
