"""What a core's blocks can do besides executing: the base of every feature, and the order in which they act.

A feature says which operations it wants at each `Part` of a block (natively), and what it does with each event (in
Python, where there are no native probes): both give the same results. `Engine.switch_on` and `switch_off` work between
runs at once, and in a run at the end of the core's current slice. See docs/engine.md for how to write one.
"""

from collections.abc import Callable, Mapping, Sequence

from emu.engine.translated.definitions import Block
from emu.engine.translated.operations import Operation
from emu.engine.translated.plan import Part
from emu.hints import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from emu.engine.translated.rings import Buffer

MOST_BLOCKS = 1 << 22
"""How many blocks tables tell apart, from one switching to the next; all further ones have the last number."""


class Core(NamedTuple):
    """What a feature may know of the core that it is switched on in."""

    slots: memoryview
    """See `emu.engine.slots`."""
    base: int
    """The physical address of RAM."""
    size: int
    host_address: int
    """Where the host has RAM."""
    state_address: int
    """Where the host has the core's state; 0 without native probes."""
    fail: Callable[[BaseException], None]
    """Ends the run, and raises what it gets."""


class Access(NamedTuple):
    """A load or store that was carried out. An atomic instruction makes two; what Python completes makes none."""

    pc: int
    address: int
    """Virtual."""
    size: int
    """Bytes: 1, 2, 4 or 8."""
    is_store: bool
    value: int
    """What was read or written, unsigned."""
    instret: int
    """Instructions that had retired before this one."""


class Write(NamedTuple):
    """A register that an instruction has written."""

    pc: int
    register: int
    """1 to 31 for x1 to x31, 32 to 63 for f0 to f31."""
    value: int
    instret: int
    """Instructions that had retired before this one."""


class Jump(NamedTuple):
    """An instruction that ended its block: a jump that is always taken, `sret`, `mret`; or a trap."""

    pc: int
    instruction: int
    """Its bits; 0 for a trap, which was entered in front of the instruction at pc."""
    target: int
    stack_pointer: int
    instret: int
    """Instructions that have retired, this one among them."""
    satp: int


class Feature:
    """One feature of one core. Those with a lower `order` act before others at the same place."""

    order: ClassVar[int] = 50
    works_alone: ClassVar[bool] = False
    """Whether it never needs Python while blocks execute, so that `Engine.call_alone` may let it act."""

    def operations(self, _core: Core, /) -> Mapping[Part, Sequence[Operation]]:
        """What blocks get; asked whenever any feature is switched on or off, and all code is translated anew then."""
        return {}

    @property
    def rings(self) -> "Sequence[Buffer]":
        """Its buffers."""
        return ()

    @property
    def looks_at_registers(self) -> bool:
        """Whether it wants to be told of writes by `written`, natively of those that Python completes."""
        return False

    def written(self, _write: Write, /) -> None:
        """A register has been written by Python, or without native probes."""

    @property
    def looks_at_jumps(self) -> bool:
        """Whether it wants to be told of traps, and of `sret` and `mret` that Python completes, by `jumped`."""
        return False

    has_entries_noted: ClassVar[bool] = False
    """Whether it need not be told of traps that native code enters, because that notes them for it (`Slot.KEPT`)."""

    def jumped(self, _jump: Jump, /) -> None:
        """Python has carried it out; or, without native probes, any instruction that always jumps has."""

    def host_calls(self, _return_address: int, _stack_pointer: int, /) -> None:
        """The host is about to have a function of the guest executed, which returns to that address."""

    def switched_off(self) -> None:
        """Blocks do it no more."""
        return

    def flush(self) -> None:
        """Hand over what its buffers hold. Between runs, or where the core is stopped."""
        for ring in self.rings:
            ring.empty()

    def block_defined(self, _block: Block, /) -> None:
        """A block was translated, and will execute now; told in bulk, before the buffers are emptied.

        Blocks are told of as long as a feature that is on has a method of its own for it.
        """

    # Without native probes.

    def block_began(self, _number: int, _length: int, /) -> None:
        """A block begins: its number and length."""

    def stores(self, _access: Access, /) -> None:
        """A store to RAM is about to be carried out."""

    def accessed(self, _access: Access, _physical: int, /) -> None:
        """A load or store has been carried out, to a physical address."""
