"""The trace of Sail's RISC-V model (`sail_riscv_sim --trace-all`): instructions, registers, CSRs, memory, page walks.

Its form is that of the model's sources: c_emulator/riscv_callbacks_log.cpp, and in model/ step.sail, sys_control.sail
and vmem_ptw.sail.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.errors import ConfigError
from emu.events import MmioAccess, PageFault, TlbFilled
from emu.firmware.names import Names
from emu.hart.traps import enter_m, enter_s
from emu.isa.causes import ExceptionCause
from emu.isa.csrs import Csr, csr_name
from emu.isa.encodings import OPCODE, SYSTEM
from emu.isa.operands import instruction_length
from emu.isa.privilege import Access, Privilege
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT, effective_privilege
from emu.machine import Machine
from emu.mmu.pte import Pte
from emu.record.csrs import INTERRUPT, Change, ChangeKind
from emu.record.recording import Instruction
from emu.report.disassembly import disassemble
from emu.report.logs.commits.log import CSR, NOT_FETCHED, CommitLog
from emu.report.logs.commits.records import Queue
from emu.report.logs.commits.writer import CommitWriter
from emu.report.tracefile import Sink
from emu.walks import Refusal, Walk

_CAUSES = (
    "misaligned-fetch", "fetch-access-fault", "illegal-instruction", "breakpoint", "misaligned-load",
    "load-access-fault", "misaliged-store/amo", "store/amo-access-fault", "u-call", "s-call", "reserved-0", "m-call",
    "fetch-page-fault", "load-page-fault", "reserved-1", "store/amo-page-fault",
)  # fmt: skip
"""As `exceptionType_to_str` has them, one word's spelling included."""
_ERRORS = {
    Refusal.TABLE_OUTSIDE_MEMORY: "mem-access-error",
    Refusal.TABLE_PROTECTED: "mem-access-error",
    Refusal.INVALID: "invalid-pte",
    Refusal.RESERVED_WRITE_ONLY: "invalid-pte",
    Refusal.RESERVED_BITS: "invalid-pte",
    Refusal.NOT_A_LEAF: "invalid-pte",
    Refusal.MISALIGNED_SUPERPAGE: "misaligned-superpage",
    Refusal.NOT_ACCESSED: "pte-update-needed",
    Refusal.NOT_DIRTY: "pte-update-needed",
}
"""As `ptw_error_to_str`; all others are "no-permission"."""
_NAMES = {privilege: privilege.name for privilege in Privilege}
"""A member's name is slow to ask for."""
_ACCESSES = {Access.FETCH: "X", Access.LOAD: "R", Access.STORE: "W"}


class Walked(NamedTuple):
    """A page walk that was made."""

    instret: int
    walk: Walk


class SailLog(CommitLog):
    """The lines of one run. Steps are counted from the first of them; device registers are memory like any other."""

    def __init__(self, names: Names | None = None) -> None:
        super().__init__(names)
        self.is_native = False
        self.story: Queue[Change | Walked | MmioAccess] = Queue()
        """All that happened beside instructions, in its order."""
        self._steps = 0
        self.satp = 0
        """As it is; whoever feeds the log sets it once."""
        self._frames: dict[int, int] = {}
        """Physical page by virtual one, as the core was told last: it asks again when that may have changed."""
        self._fetches: dict[tuple[int, int, bytes], str] = {}
        self._spoken: dict[tuple[int, bytes], str] = {}

    def clear(self) -> None:
        """See `CommitLog`."""
        super().clear()
        self.story.clear()
        self._frames.clear()

    def changed(self, change: Change) -> None:
        """See `CommitLog`."""
        self.story.feed([change])

    def text(self, one: Instruction, codes: Mapping[int, bytes]) -> Iterator[tuple[int, str]]:
        """See `CommitLog`."""
        instret, where, code, privilege = one
        pc = int(where)
        written: list[Change] = []
        walks: list[Walk] = []
        devices: list[MmioAccess] = []
        before: list[str] = []
        for each in self.story.until(instret):
            if isinstance(each, MmioAccess):
                devices.append(each)
            elif isinstance(each, Walked):
                self._note(each.walk)
                if each.walk.access is Access.FETCH:
                    before += _walked(each.walk)
                else:
                    walks.append(each.walk)
            elif each.kind is ChangeKind.TRAP:
                before += self._trap(each, walks, codes)
                walks, devices = [], []
            elif each.kind is ChangeKind.WRITE:
                written.append(each)
            else:
                list(self._change(each, codes))
        self._privilege = privilege
        shape = self._shape(pc, code)
        text = [*before, self._fetched(pc, code), self._instruction(pc, code, privilege)]
        written = [change for change in written if change.instret == instret]
        step, accesses = self._step(one, shape, written)
        for walk in walks:
            text += _walked(walk)
        if devices:
            text += [_memory("W" if one.write else "R", one.address, one.size, one.value) for one in devices]
        else:
            text += [
                _memory("W" if is_store else "R", self._physical(address), size, value)
                for address, size, value, is_store in accesses
            ]
        if step or written:
            text += _registers(step, written, code)
        for change in written:
            self.satp = change.value if change.number == Csr.SATP else self.satp
        if shape.returns:
            text.append(f"ret-ing from {privilege.name} to {self._privilege.name}")
        yield pc, "\n".join(text)

    def _note(self, walk: Walk) -> None:
        if walk.physical is not None and walk.steps:
            self._frames[walk.address.floor()] = walk.physical.floor()

    def _physical(self, address: int, *, fetch: bool = False) -> int:
        privilege = self._privilege if fetch else effective_privilege(self._status, self._privilege)
        if privilege == Privilege.M or not self.satp >> SATP_MODE_SHIFT:
            return address
        frame = self._frames.get(address >> PAGE_BITS)
        return address if frame is None else frame << PAGE_BITS | address & PAGE_SIZE - 1

    def _fetched(self, pc: int, code: bytes) -> str:
        """The lines of the halfwords that were fetched."""
        begin, end = self._physical(pc, fetch=True), self._physical(pc + len(code) - 2, fetch=True)
        text = self._fetches.get((begin, end, code))
        if text is None:
            halves = zip((begin, end), range(0, len(code), 2), strict=False)
            lines = [_memory("X", at, 2, int.from_bytes(code[place : place + 2], "little")) for at, place in halves]
            text = self._fetches[begin, end, code] = "\n".join(lines)
        return text

    def _instruction(self, pc: int, code: bytes, privilege: Privilege) -> str:
        step, self._steps = self._steps, self._steps + 1
        text = self._spoken.get((pc, code))
        if text is None:
            word = int.from_bytes(code, "little")
            text = f"0x{pc:016X} (0x{word:0{2 * len(code)}X}) {disassemble(code, pc) or 'illegal'}"
            self._spoken[pc, code] = text
        return f"[{step}] [{_NAMES[privilege]}]: {text}"

    def _trap(self, trap: Change, walks: list[Walk], codes: Mapping[int, bytes]) -> Iterator[str]:
        source, cause, target = self._privilege, trap.number & ~INTERRUPT, trap.privilege
        data = [line for walk in walks for line in _walked(walk)]
        if trap.number & INTERRUPT:
            yield f"Handling interrupt: 0x{cause:02X}"
        else:
            code = codes.get(trap.value)
            if cause == ExceptionCause.ILLEGAL_INSTRUCTION:
                code = trap.second.to_bytes(8, "little")[: instruction_length(trap.second)]
            if cause not in NOT_FETCHED and code is not None:
                yield self._fetched(trap.value, code)
                yield self._instruction(trap.value, code, source)
            yield from data
            name = _CAUSES[cause] if cause < len(_CAUSES) else f"#{cause}"
            yield f"trapping from {source.name} to {target.name} to handle {name}"
        kind = "int" if trap.number & INTERRUPT else "exc"
        yield f"handling {kind}#0x{cause:02X} at priv {target.name} with tval 0x{trap.second:016X}"
        self._status = (enter_s if target is Privilege.S else enter_m)(self._status, source)
        self._privilege = target
        yield _csr(Csr.MSTATUS, self._shown_status)


def _walked(walk: Walk) -> Iterator[str]:
    """The lines of a page walk; none where there was none."""
    if not walk.steps:
        return
    access, privilege = _ACCESSES[walk.access], walk.privilege.name
    vpn = walk.address.floor() & (1 << 9 * PAGING_LEVELS[walk.satp >> SATP_MODE_SHIFT]) - 1
    yield f"PTW: Start, vpn=0x{vpn:x}, access_type={access}, privilege={privilege}"
    for step in walk.steps:
        yield f"PTW: Step, level={step.level}, pte=0x{step.pte:X}, pte_addr=0x{int(step.pte_address):X}"
    last = walk.steps[-1]
    if walk.physical is not None or walk.refusal is Refusal.PHYSICAL_PROTECTION:
        physical = walk.physical.floor() if walk.physical is not None else Pte(last.pte).ppn
        yield f"PTW: Success, final_ppn=0x{physical:x}, level={last.level}"
    else:
        error = _ERRORS.get(walk.refusal or Refusal.INVALID, "no-permission")
        yield f"PTW: failed, error={error}, level={last.level}, pte_addr=0x{int(last.pte_address):X}"


def _memory(kind: str, address: int, size: int, value: int) -> str:
    arrow = "<-" if kind == "W" else "->"
    return f"mem[{kind},0x{int(address):016X}] {arrow} 0x{value & (1 << 8 * size) - 1:0{2 * size}X}"


def _csr(number: int, value: int) -> str:
    return f"CSR {csr_name(number)} (0x{number:03X}) <- 0x{value:016X}"


def _registers(written: dict[int, int], csrs: list[Change], code: bytes) -> Iterator[str]:
    """CSRs, by the names that the instruction has for them, then registers; first the CSR that is read."""
    word = int.from_bytes(code, "little")
    destination = word >> 7 & 31
    if word & OPCODE == SYSTEM and word >> 12 & 3 and destination << 4 in written:
        number = word >> 20
        yield f"CSR {csr_name(number)} (0x{number:03X}) -> 0x{written[destination << 4]:016X}"
    keys = sorted(written)
    told = [(change.number, change.value) for change in csrs]
    for number, value in told or [(key >> 4, written[key]) for key in keys if key & 15 == CSR]:
        yield _csr(number, value)
    for key in keys:
        if key & 15 != CSR:
            yield f"{'xf'[key & 15]}{key >> 4} <- 0x{written[key]:016X}"


class SailWriter(CommitWriter):
    """Writes Sail's trace of a run while it goes on; also a `with` block. For machines of fidelity `exact`."""

    def __init__(self, machine: Machine, stream: Sink, *, start: bool = True) -> None:
        """See `CommitWriter`. Raises ConfigError for fidelity `fast`, whose page walks nobody sees."""
        if machine.config.fidelity != "exact":
            raise ConfigError("Sail's trace has page walks, and only fidelity exact has them in sight: take that one")
        self._sail = log = SailLog(machine.platform.names)

        def walked(event: TlbFilled | PageFault) -> None:
            log.story.feed([Walked(event.instret, event.walk)])

        self._listening = [
            machine.on(TlbFilled, walked),
            machine.on(PageFault, walked),
            machine.on(MmioAccess, lambda event: log.story.feed([event])),
        ]
        super().__init__(machine, stream, log=log, start=start)

    def start(self) -> None:
        """See `CommitWriter`."""
        if not self.is_on:
            self._sail.satp = self._machine.hart.csr[Csr.SATP]
        super().start()

    def close(self) -> None:
        """See `CommitWriter`."""
        super().close()
        for subscription in self._listening:
            subscription.cancel()
