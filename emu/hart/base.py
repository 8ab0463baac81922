"""What a hart has, and what its fidelities do each in their own way: the engine, the guest's code, events."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial

from emu.address import VirtAddr
from emu.engine import Engine, Guest
from emu.errors import MachineError
from emu.events import (
    AddressSpaceSwitched,
    CsrWritten,
    Event,
    OtherCsrWritten,
    PageFault,
    PteWritten,
    SyscallMade,
    TrapReturned,
    TrapTaken,
)
from emu.hart.csrfile import CsrFile
from emu.hart.shadow import SharedShadow
from emu.hart.table_watch import TableWatch
from emu.hart.words import ALL, COUNT, FIRST_TRAP, LAST_TRAP, PC, TRAPPED, TRAPPED_AT, TRAPS
from emu.hints import TYPE_CHECKING
from emu.isa.csrs import Csr
from emu.isa.operands import MemoryOperand, memory_operand
from emu.isa.privilege import Access, Privilege
from emu.isa.registers import A7
from emu.memory import Ram
from emu.subscriptions import EventBus
from emu.walks import Walk

if TYPE_CHECKING:
    from emu.hart.platform import Platform


class HartBase(Guest, ABC):
    """The base of `HartCore`."""

    csrs: CsrFile

    @property
    @abstractmethod
    def csr_values(self) -> memoryview:
        """The words of the model's CSRs, those that are not in the core's window."""

    def __init__(self, ram: Ram, bus: EventBus, platform: "Platform", *, probes: str | None = None) -> None:
        self.ram = ram
        self.bus = bus
        self.platform = platform
        self._halves = ram.view.cast("H")
        self._positions: dict[int, int] = {}
        """How many instructions stand before one that was asked for, by its block and its place in there."""
        self.is_between = False
        """Whether a callback is called just before an instruction, of which nothing is carried out yet."""
        self._goes_on_at: int | None = None
        """Where the hart goes on instead of at the watched instruction that it has stopped before."""
        self.returned = False
        """Whether a function that the host called has returned to RETURN_ADDRESS."""
        self.repeated_at: tuple[int, int] | None = None
        """`instret` and pc of an instruction that began, and begins again because a page had to be asked for."""
        self._loaded: tuple[int, int] | None = None
        """The register and value of a load that has left the core."""
        self._runs_partly = False
        """Whether the current block is the first part of one: a trap that it leads to does not begin to be handled."""
        self.asks_again = False
        """Whether the instruction at pc was stopped before it did anything, only to be executed again."""
        self._listening: set[type[Event]] = set()
        self.supervisor_stands_for = Privilege.S
        """What the core executes as S mode: M mode too in fidelity `exact`, whose core has no such mode."""
        self.stands_for_changed: list[Callable[[], None]] = []
        """Called when that has changed, with `instret` exact."""
        self.engine = Engine(self, ram.base, ram.size, ram.host_address, platform.device_ranges, probes=probes)
        self.words = self.engine.words
        self.slots = self.engine.slots
        self.slots[TRAPPED_AT] = ALL
        self.shadow = SharedShadow(self.engine)
        self.tables = TableWatch(self)
        self._interrupts_changed = False
        for kind in (
            TrapTaken, TrapReturned, PageFault, AddressSpaceSwitched, CsrWritten, OtherCsrWritten, SyscallMade,
            PteWritten,
        ):  # fmt: skip
            self.add_source(kind)
        bus.add_source(PteWritten, self.tables.start)

    @property
    def traps_taken(self) -> int:
        """Traps entered since power-on: with `instret`, which a trap does not change, it names a moment."""
        return self.slots[TRAPS]

    @traps_taken.setter
    def traps_taken(self, count: int) -> None:
        self.slots[TRAPS] = count

    @property
    def last_trap(self) -> int:
        """The run ends behind the trap of this number; 0: behind none."""
        return self.slots[LAST_TRAP]

    @last_trap.setter
    def last_trap(self, number: int) -> None:
        self.slots[LAST_TRAP] = number

    @property
    def trap_chain(self) -> tuple[int, int]:
        """At how many instructions retired the last exception was, or -1; and how many there were at that."""
        at = self.slots[TRAPPED_AT]
        return (-1 if at == ALL else at), self.slots[TRAPPED]

    @trap_chain.setter
    def trap_chain(self, chain: tuple[int, int]) -> None:
        at, count = chain
        self.slots[TRAPPED_AT], self.slots[TRAPPED] = at & ALL, count
        self.slots[FIRST_TRAP + 4] = 0  # nobody knows that one

    # What the fidelities do each in its own way.

    @property
    @abstractmethod
    def privilege(self) -> Privilege:
        """The current privilege."""

    @abstractmethod
    def set_privilege(self, privilege: Privilege) -> None:
        """Change the current privilege, outside of `run`."""

    @abstractmethod
    def read_csr(self, number: int) -> int | None:
        """The value of a CSR for the host, whatever the guest's privilege; None when there is no such CSR."""

    def write_csr(self, number: int, value: int) -> bool:
        """Write a CSR by its WARL rules as M mode would; False when there is no such CSR."""
        return self.write_csrs(((number, value),))

    @abstractmethod
    def write_csrs(self, values: Iterable[tuple[int, int]]) -> bool:
        """The same for several, in their order and up to the first that there is not."""

    @abstractmethod
    def set_line(self, bit: int, level: bool) -> None:
        """Set the level of an interrupt line into `mip`; the machine sees to it that the hart looks at it."""

    @abstractmethod
    def interrupt_is_pending(self) -> bool:
        """Whether an enabled interrupt is pending, which ends `wfi` whatever `mstatus` says."""

    @abstractmethod
    def knows_no_interrupt(self) -> bool:
        """Whether no interrupt is enabled and pending, and no line has changed since the core was told of them."""

    @property
    @abstractmethod
    def has_floats(self) -> bool:
        """Whether floating-point instructions are not illegal (`mstatus.FS`)."""

    @abstractmethod
    def deliver_interrupts(self) -> None:
        """Take an interrupt now if one is due, with pc exact."""

    def interrupts_written(self) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        self._interrupts_changed = True

    def timer_written(self) -> None:
        """See `emu.hart.csr_owner.CsrOwner`."""
        self.platform.timer_written()
        self._interrupts_changed = True

    @abstractmethod
    def instructions_from(self, pc: int) -> int:
        """How many instructions of the current block have not retired when the one at `pc` executes."""

    @abstractmethod
    def walk(self, address: int, access: Access, privilege: Privilege | None = None) -> Walk:
        """The page walk that an access at this moment would make; nothing is changed."""

    @abstractmethod
    def exception(self, number: int) -> None:
        """See `emu.engine.Guest`."""

    @abstractmethod
    def fill(self, address: int, access: int) -> tuple[int, int] | None:
        """See `emu.engine.Guest`."""

    @abstractmethod
    def refused(self) -> None:
        """See `emu.engine.Guest`."""

    @abstractmethod
    def trap(self, cause: int, tval: int, epc: int) -> None:
        """Enter the handler of a synchronous exception; `instret` is exact already."""

    @abstractmethod
    def flush_translations(self) -> None:
        """Forget cached translations, with the core stopped or in an exception."""

    def ask_again(self) -> None:
        """Have the core ask for each translation again, of those that still hold; with the core stopped."""
        self.flush_translations()

    @property
    @abstractmethod
    def lines(self) -> int:
        """The bits of `mip` that devices hold up."""

    @abstractmethod
    def supervisor_timecmp(self) -> int:
        """What `mtime` is to reach for Sstc's timer interrupt; 2**64-1 while Sstc is off."""

    @abstractmethod
    def set_supervisor_timecmp(self, time: int) -> None:
        """Write `stimecmp`, also in the middle of a run."""

    @abstractmethod
    def look_up(self, address: int) -> Walk:
        """The walk of a load that is allowed everything in the current address space."""

    @abstractmethod
    def physical_of(self, address: int) -> int | None:
        """Where that walk leads to, without its steps: many times as fast in the common case."""

    @abstractmethod
    def save(self) -> object:
        """All state of the hart, for `restore`."""

    @abstractmethod
    def restore(self, state: object, *, forget_code: bool) -> None:
        """Return to a saved state, after memory has; `forget_code` when memory that held code has changed."""

    @abstractmethod
    def _physical_code(self, address: int) -> int:
        """The physical address that an instruction is fetched from; MachineError where it cannot be."""

    def close(self) -> None:
        """Give the core back. Parts that know each other live until Python looks for cycles, which can take long."""
        self.engine.close()
        for part in (self.csrs, self.csrs.counters, self.tables, self.shadow, self):
            vars(part).clear()

    # What is seen of the guest.

    @property
    def retired_count(self) -> int:
        """Instructions retired; exact while the core is stopped, and in every event."""
        return self.slots[COUNT]

    def features_switched(self) -> None:
        """See `emu.engine.Guest`."""

    def code_address(self, address: int) -> int | None:
        """See `emu.engine.Guest`."""
        try:
            return self._physical_code(address)
        except MachineError:
            return None

    def fetch_half(self, address: int) -> int:
        """Sixteen bits of code."""
        return self._halves[(self._physical_code(address) - self.ram.base) >> 1]

    def fetch_instruction(self, address: int) -> int:
        """The instruction at a virtual address: 32 bits, or 16 for a compressed one."""
        index = (self._physical_code(address) - self.ram.base) >> 1
        low = self._halves[index]
        if low & 3 != 3:
            return low
        high = self.fetch_half(address + 2) if address & 0xFFE == 0xFFE else self._halves[index + 1]
        return low | high << 16

    def operand_at(self, pc: int) -> MemoryOperand | None:
        """What the instruction at `pc` accesses; None where it accesses nothing or cannot be read."""
        try:
            return memory_operand(self.fetch_instruction(pc))
        except MachineError:
            return None

    # Events.

    def listens(self, kind: type[Event]) -> bool:
        """Whether anybody listens to events of this kind."""
        return kind in self._listening

    def emit_trap(
        self, cause: int, tval: int, epc: int, source: Privilege, to: Privilege, target: int, *, interrupt: bool
    ) -> None:
        """Tell who listens that a trap was entered."""
        self.bus.emit(self._trap_event(cause, tval, epc, source, to, target, interrupt=interrupt))

    def _trap_event(
        self, cause: int, tval: int, epc: int, source: Privilege, to: Privilege, target: int, *, interrupt: bool = False
    ) -> TrapTaken:
        return TrapTaken(
            instret=self.retired_count,
            pc=VirtAddr(epc),
            privilege=source,
            cause=int(cause),
            interrupt=interrupt,
            tval=tval,
            to_privilege=to,
            handler=VirtAddr(target),
        )

    def emit_syscall(self, epc: int) -> None:
        """Tell who listens that a user program executed `ecall`."""
        words = self.words
        self.bus.emit(
            SyscallMade(
                instret=self.retired_count,
                pc=VirtAddr(epc),
                privilege=Privilege.U,
                number=words[A7],
                args=tuple(words[10:16]),
            )
        )

    def emit_csr_written(self, number: int, written: int, value: int) -> None:
        """Tell who listens what the CSR instruction at pc - 4 has written, and what is read there now.

        A counter has what was written when the next instruction reads it.
        """
        for kind in (CsrWritten, OtherCsrWritten):
            if kind in self._listening and (kind is CsrWritten or number != Csr.SSTATUS):
                self.bus.emit(
                    kind(
                        instret=self.retired_count - 1,
                        pc=VirtAddr(self.words[PC] - 4),
                        privilege=self.privilege,
                        number=number,
                        value=written if number in (Csr.MCYCLE, Csr.MINSTRET) else value,
                    )
                )

    def tells_of_csr(self, number: int) -> bool:
        """Whether somebody wants to be told of writes to a CSR."""
        listening = self._listening
        return CsrWritten in listening or (OtherCsrWritten in listening and number != Csr.SSTATUS)

    @abstractmethod
    def listening_changed(self, kind: type[Event]) -> None:
        """A kind of event has got its first listener or lost its last."""

    def add_source(self, kind: type[Event]) -> None:
        """Say that this hart makes events of a kind, while somebody listens."""
        self.bus.add_source(kind, partial(self._start_telling, kind))

    def _start_telling(self, kind: type[Event]) -> Callable[[], None]:
        self._listening.add(kind)
        self.listening_changed(kind)
        return partial(self._stop_telling, kind)

    def _stop_telling(self, kind: type[Event]) -> None:
        self._listening.discard(kind)
        self.listening_changed(kind)
