"""What a page walk saw: its steps, its outcome, and the reason when it was refused."""

from enum import Enum

from emu.address import PhysAddr, VirtAddr
from emu.isa.privilege import Access, Privilege
from emu.lateclass import dataclass
from emu.shown import Shown


class Refusal(Enum):
    """Why a walk ended in a fault; the value completes the sentence "the PTE ..." (privileged manual, 4.3.2).

    >>> Refusal.NOT_WRITABLE.value
    'has no W'
    """

    NOT_CANONICAL = "is never reached: the address is not canonical"
    INVALID = "is invalid (V = 0)"
    RESERVED_WRITE_ONLY = "has W without R, which is reserved"
    RESERVED_BITS = "has reserved bits set"
    NOT_A_LEAF = "is on level 0 and not a leaf (no R, W or X)"
    MISALIGNED_SUPERPAGE = "is a misaligned superpage"
    NOT_READABLE = "has no R"
    NOT_WRITABLE = "has no W"
    NOT_EXECUTABLE = "has no X"
    USER_PAGE = "is a user page (U = 1) and S mode runs with SUM = 0"
    USER_CODE = "is a user page (U = 1), from which S mode never executes"
    SUPERVISOR_PAGE = "is not a user page (U = 0)"
    NOT_ACCESSED = "has A = 0"
    NOT_DIRTY = "has D = 0"
    TABLE_OUTSIDE_MEMORY = "lies outside physical memory"
    TABLE_PROTECTED = "lies where physical memory protection (PMP) lets no page walk read or write"
    PHYSICAL_PROTECTION = "is fine, but physical memory protection (PMP) refuses"


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One PTE that the walk read."""

    level: int
    """The level of the table: 2 is Sv39's root, 0 the last."""
    pte_address: PhysAddr
    pte: int
    """The PTE's 64 bits; 0 when its address lies outside memory."""


@dataclass(frozen=True, slots=True)
class Walk(Shown):
    """A page walk for one access, whether it succeeded or not.

    `physical` is the translated address, None when refused; `refusal` is None when it succeeded. With paging off
    (M mode, or `satp` mode Bare) there are no steps and `physical` equals `address`.
    """

    address: VirtAddr
    access: Access
    privilege: Privilege
    satp: int
    steps: tuple[WalkStep, ...]
    physical: PhysAddr | None
    refusal: Refusal | None

    @property
    def leaf(self) -> WalkStep | None:
        """The last PTE that was read: the leaf, or the one that refused."""
        return self.steps[-1] if self.steps else None
