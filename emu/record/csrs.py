"""What of a hart's privileged state a log needs beside registers: its state at a start, CSRs written, traps."""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from emu.engine.csrs.layout import LINES
from emu.engine.window import Word
from emu.events import CsrWritten, OtherCsrWritten, TrapTaken
from emu.isa.csrs import Csr
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.subscriptions import Subscription


class ChangeKind(IntEnum):
    """What a change is."""

    START = 0
    """The state from here on."""
    WRITE = 1
    """A CSR instruction has written; of `sstatus` not always told, for what it writes follows from the registers."""
    TRAP = 2
    """A trap was entered, before the instruction of this `instret`."""


class Change(NamedTuple):
    """A change of privileged state."""

    kind: ChangeKind
    instret: int
    value: int
    """START: `mstatus`. WRITE: what the CSR holds now. TRAP: `epc`."""
    second: int
    """START: `fcsr`. WRITE: of `sie` and `sip` what `mie` and `mip` hold now. TRAP: `tval`."""
    number: int
    """WRITE: the CSR's. TRAP: the cause, with `INTERRUPT` for an interrupt."""
    privilege: Privilege
    """START: the current one. WRITE: the instruction's. TRAP: that of the handler."""
    registers: tuple[int, ...] = ()
    """START: x0 to x31 and f0 to f31."""


INTERRUPT = 1 << 15
RECORD = struct.Struct("<QQQQHBBxxxx")
"""Spans begun, `instret`, `value`, `second`, `number`, `kind`, `privilege`; behind a START come `REGISTERS`."""
REGISTERS = struct.Struct("<64Q")
_PRIVILEGES = (Privilege.U, Privilege.S, Privilege.S, Privilege.M)


def pack(change: Change, spans: int) -> bytes:
    """A change as a recording has it."""
    record = RECORD.pack(
        spans, change.instret, change.value, change.second, change.number, change.kind, change.privilege
    )
    return record + REGISTERS.pack(*change.registers) if change.kind is ChangeKind.START else record


def unpack(data: bytes, place: int) -> tuple[int, Change, int] | None:
    """How many spans had begun, a change, and where the next one stands; None where there is no whole one."""
    if place + RECORD.size > len(data):
        return None
    spans, instret, value, second, number, kind, privilege = RECORD.unpack_from(data, place)
    place += RECORD.size
    registers: tuple[int, ...] = ()
    if kind == ChangeKind.START:
        if place + REGISTERS.size > len(data):
            return None
        registers = REGISTERS.unpack_from(data, place)
        place += REGISTERS.size
    elif kind > ChangeKind.TRAP:
        return None
    change = Change(ChangeKind(kind), instret, value, second, number, _PRIVILEGES[privilege & 3], registers)
    return spans, change, place


class CsrFollower:
    """Tells changes of a machine's hart while it is on."""

    def __init__(self, machine: Machine, tell: Callable[[Change], None], *, status: bool = False) -> None:
        """`status`: of writes to `sstatus`, too, which slows kernels down."""
        self._machine, self._tell = machine, tell
        self._kind = CsrWritten if status else OtherCsrWritten
        self._subscriptions: list[Subscription] = []

    def start(self) -> None:
        """Listen. The state at that moment is told by `begin`, for which the machine must be between instructions."""
        if not self._subscriptions:
            on = self._machine.on
            self._subscriptions = [on(self._kind, self._written), on(TrapTaken, self._trapped)]

    @property
    def is_on(self) -> bool:
        """Whether it listens."""
        return bool(self._subscriptions)

    def stop(self) -> None:
        """Listen no more."""
        while self._subscriptions:
            self._subscriptions.pop().cancel()

    def begin(self) -> None:
        """Tell the state as it is."""
        hart, words = self._machine.hart, self._machine.core.words
        registers = (*words[Word.X0 : Word.X0 + 32], *words[Word.F0 : Word.F0 + 32])
        self._tell(
            Change(
                ChangeKind.START, self._machine.core.retired_count, hart.csr[Csr.MSTATUS], hart.csr[Csr.FCSR], 0,
                hart.privilege, registers,
            )
        )  # fmt: skip

    def _written(self, event: CsrWritten) -> None:
        values, second = self._machine.core.csr_values, 0
        if event.number == Csr.SIE:
            second = values[Csr.MIE]
        elif event.number == Csr.SIP:
            second = values[Csr.MIP] | values[LINES]
        self._tell(Change(ChangeKind.WRITE, event.instret, event.value, second, event.number, event.privilege))

    def _trapped(self, trap: TrapTaken) -> None:
        number = trap.cause | (INTERRUPT if trap.interrupt else 0)
        self._tell(Change(ChangeKind.TRAP, trap.instret, trap.pc, trap.tval, number, trap.to_privilege))
