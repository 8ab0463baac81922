"""What the engine asks of whoever decides for the guest, and the words that they exchange."""

from enum import Enum

from emu.hints import Protocol
from emu.isa.privilege import Access
from emu.lateclass import dataclass

RETURN_ADDRESS = 0x7FFF_DEAD_BEEF_0000
"""Where a function called by the host returns to: not canonical in any paging mode, outside memory in none."""


class Note:
    """Why a call without Python has ended (`emu.engine.calls.alone`): bits of a number."""

    ALONE = 1
    """Nobody calls Python: who would have to leaves one of these and stops the core."""
    RETURNED = 2
    """The function is back at RETURN_ADDRESS."""
    DATA = 4
    """A load or store has not happened."""
    FETCH = 8
    """The instruction at pc was not fetched."""
    INTERRUPT = 16
    """One is due, between two blocks."""
    BREAKPOINT = 32
    """`ebreak` was executed."""
    CODE = 64
    """Code was found in a part of memory that had none."""
    EXCEPTION = 128
    """The core has raised the exception whose number stands above."""


NUMBER_SHIFT = 8
"""How far up in a note the number of an exception stands."""


class Stop(Enum):
    """Why the core returned."""

    DEADLINE = "the next block would pass the deadline"
    REQUESTED = "the host asked for it"
    WAITING = "the guest executed wfi"


class Store(Enum):
    """What became of a store to a device."""

    DONE = "done"
    LEAVE = "done, and the core is to stop right behind it"
    REFUSED = "there is no such register"


@dataclass(frozen=True, slots=True)
class Fault:
    """An access that physical memory refused."""

    access: Access
    physical: int


class Guest(Protocol):
    """What the engine asks of the hart. pc in the window is exact in every call unless stated otherwise."""

    def exception(self, number: int) -> None:
        """A synchronous exception with QEMU's number; pc is the instruction's address + 4."""

    def breakpoint(self) -> None:
        """`ebreak` was executed; pc is its address."""

    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        """Translate the page of a virtual address: frame and protection, or None to refuse. pc may be stale.

        `access` is library.MEM_READ, MEM_WRITE or MEM_FETCH.
        """

    def refused(self) -> None:
        """The core has stopped at the instruction whose `fill` was refused."""

    def access_fault(self, fault: Fault) -> None:
        """The core has stopped at an instruction that physical memory refused."""

    def device_read(self, address: int, size: int) -> int | None:
        """A load from a device; None refuses it."""

    def device_write(self, address: int, size: int, value: int) -> Store:
        """A store to a device."""

    def not_begun(self, *, fetch: bool) -> None:
        """The core has stopped before the access of the instruction at pc, or its fetch, and nobody was asked."""

    def access_done(self) -> None:
        """The core has stopped at a store whose `device_write` answered Store.LEAVE, or at a load that was left."""

    def code_address(self, address: int) -> int | None:
        """The physical address that an instruction is fetched from, or None."""

    def features_switched(self) -> None:
        """Other features are on."""

    def instructions_between(self, start: int, end: int) -> int:
        """How many instructions the current code has between two virtual addresses."""
