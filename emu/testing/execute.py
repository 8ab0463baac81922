"""Instructions as expressions: assembly text and registers in, the registers that changed out."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from emu.errors import LimitExceeded, SymbolError
from emu.events import TrapTaken
from emu.firmware.image import Image
from emu.isa.causes import cause_label
from emu.isa.csrs import Csr
from emu.isa.encodings import AUIPC, BRANCH, JAL, JALR, LOAD, LUI, OP, OP_32, OP_IMM, OP_IMM_32, OPCODE
from emu.isa.operands import instruction_length
from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_NUMBERS, REGISTER_NUMBERS
from emu.isa.status import FS_INITIAL
from emu.machine import Machine, MachineConfig
from linker import link
from linker.assembler import assemble

CODE, DATA = 0x8020_0000, 0x8021_0000
_HANDLER = 0x8010_0000
_MOST = 10_000
"""Instructions of one call."""
_ALL = (1 << 64) - 1
_OPEN = 0x1F
_PLAIN = frozenset({LOAD, OP_IMM, OP_IMM_32, OP, OP_32, LUI, AUIPC, BRANCH, JAL, JALR})
"""Opcodes that change nothing but integer registers and pc."""
_NAMES = ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{n}" for n in range(8)),
          *(f"s{n}" for n in range(2, 12)), "t3", "t4", "t5", "t6")  # fmt: skip
_FLOATS = {number: name for name, number in reversed(FLOAT_NUMBERS.items())}


class Executed(Mapping[str, int]):
    """What instructions have changed: registers by their names, and pc where it is not behind the code.

    It equals a dict when nothing else has changed and each register is as said; numbers are equal that are the same
    64 bits, so -1 is 0xffff_ffff_ffff_ffff. A register that is said to be what it was before is no difference.
    """

    def __init__(
        self, source: str, given: dict[str, int], after: dict[str, int], machine: Machine, trap: TrapTaken | None
    ) -> None:
        self.source, self.given, self._after, self._machine = source, given, after, machine
        self.trap = trap
        """The exception that ended it, if one did."""

    def __getitem__(self, name: str) -> int:
        """A register after the instructions, changed or not, unsigned."""
        if name in ("pc", *self._after):
            return self._after[name] if name in self._after else int(self._machine.hart.pc)
        if name in REGISTER_NUMBERS:
            return self._machine.hart.x[name]
        if name in FLOAT_NUMBERS:
            return self._machine.hart.f[name]
        return self._machine.hart.csr[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._after)

    def __len__(self) -> int:
        return len(self._after)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and not self.differences(other)

    __hash__ = None  # type: ignore[assignment]  # it changes with its machine

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={value:#x}" for name, value in self._after.items())
        trap = f" {cause_label(self.trap.cause, interrupt=False)}" if self.trap else ""
        return f"<`{self.source.strip()}`:{trap} {changed or 'nothing changed'}>"

    def differences(self, expected: Mapping[str, int]) -> list[str]:
        """What is not as expected, a line each."""
        lines = [
            f"{name}: {_both(self[name])}, expected {_both(value)}"
            for name, value in expected.items()
            if self[name] != value & _ALL
        ]
        lines += [
            f"{name}: {_both(value)}, expected no change" for name, value in self._after.items() if name not in expected
        ]
        if self.trap is not None and lines:
            lines.append(
                f"it took an exception: {cause_label(self.trap.cause, interrupt=False)}, tval {self.trap.tval:#x}"
            )
        return lines

    def explain(self, expected: Mapping[str, int]) -> list[str]:
        """The failed comparison, for a person."""
        given = ", ".join(f"{name}={value}" for name, value in self.given.items())
        return [f"`{self.source.strip()}`{f' with {given}' if given else ''}", *self.differences(expected)]


class Executor:
    r"""Executes instructions in M mode on one machine; each begins as the first did.

    >>> run = Executor("fast")
    >>> run("add a0, a1, a2", a1=-1, a2=1) == {"a0": 0}
    True
    >>> run("lw a0, 4(a1)", memory=bytes(4) + b"\xff\xff\xff\xff", a1=DATA)
    <`lw a0, 4(a1)`: a0=0xffffffffffffffff>
    """

    def __init__(self, fidelity: str = "exact") -> None:
        self._machine = machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, firmware="none"))
        csr = machine.hart.csr
        csr["pmpaddr0"], csr["pmpcfg0"] = (1 << 54) - 1, _OPEN
        csr["mtvec"], csr["mstatus"] = _HANDLER, FS_INITIAL
        machine.hart.privilege = Privilege.M
        self._clean = machine.snapshot()
        self._is_clean = True
        self._loaded = b""
        self._traps: list[TrapTaken] = []
        machine.on(TrapTaken, self._trapped)

    def close(self) -> None:
        """Give the machine back."""
        self._machine.close()

    def _put(self, registers: dict[str, int], floats: dict[str, int]) -> None:
        __tracebackhide__ = True
        hart, words = self._machine.hart, self._machine.core.words
        for name, value in registers.items():
            if not isinstance(value, int):
                raise TypeError(f"exec: {name}={value!r}: registers have integers; a float's bits are one, too")
            if not -1 << 63 <= value <= _ALL:
                raise ValueError(f"exec: {name}={value:#x}: a register has 64 bits")
            if name in REGISTER_NUMBERS:
                index = REGISTER_NUMBERS[name]
                words[index] = value & _ALL if index else 0
            elif name in FLOAT_NUMBERS:
                hart.f[name] = floats[name] = value & _ALL
            elif name.upper() in Csr.__members__:
                hart.csr[name] = value
            else:
                raise SymbolError(f"exec: there is no register {name!r}; a0, s1, fa0 and CSRs as mepc have values")

    def __call__(self, source: str, memory: bytes = b"", **registers: int) -> Executed:
        """Execute instructions until pc leaves them; registers that are not named are 0.

        `memory` is put at 0x8021_0000. A jump out of them, and an exception, end with another `pc`.
        """
        __tracebackhide__ = True
        machine = self._machine
        hart, words = machine.hart, machine.core.words
        code, count, is_plain = _assembled(source)
        if not self._is_clean:
            machine.restore(self._clean)
            self._loaded = b""
        if code != self._loaded:
            machine.memory.write(CODE, code)
            self._loaded = code
        if memory:
            try:
                machine.memory.write(DATA, memory)
            except TypeError:
                raise TypeError(f"exec: memory takes bytes, not {memory!r}") from None
        self._is_clean = is_plain and not memory
        for number in range(1, 32):
            words[number] = 0
        floats: dict[str, int] = {}
        self._put(registers, floats)
        before = words[:32].tolist()
        self._traps.clear()
        hart.pc = CODE
        self._execute(len(code), count)
        after = {
            _NAMES[n]: new for n, (old, new) in enumerate(zip(before, words[:32].tolist(), strict=True)) if old != new
        }
        if not is_plain:
            self._add_floats(after, floats)
        if hart.pc != CODE + len(code):
            after["pc"] = int(hart.pc)
        trap = self._traps[0] if self._traps else None
        self._is_clean &= trap is None
        return Executed(source, registers, after, machine, trap)

    def _execute(self, size: int, count: int) -> None:
        """Execute until pc leaves the code."""
        machine = self._machine
        if count == 1:
            machine.run(1)
            return
        for _ in range(_MOST):
            machine.run(1)
            if self._traps or not CODE <= machine.hart.pc < CODE + size:
                return
        raise LimitExceeded(f"these instructions have not come to their end after {_MOST:,} steps")

    def _add_floats(self, after: dict[str, int], given: dict[str, int]) -> None:
        f = self._machine.hart.f
        before = {FLOAT_NUMBERS[name]: value for name, value in given.items()}
        after |= {_FLOATS[n]: value for n, value in enumerate(f[:]) if value != before.get(n, 0)}

    def _trapped(self, trap: TrapTaken) -> None:
        if not trap.interrupt:
            self._traps.append(trap)
            self._machine.interrupt()


@lru_cache(maxsize=4096)
def _assembled(source: str) -> tuple[bytes, int, bool]:
    """The code, its number of instructions, and whether it changes nothing but integer registers."""
    unit = assemble(f".text\n.globl _start\n_start:\n{source}\n", name="instructions")
    linked = link([unit], script=f"ENTRY(_start) SECTIONS {{ . = {CODE:#x}; .text : {{ *(.text) }} }}")
    code = b"".join(bytes(segment.data) for segment in Image.from_bytes(linked.elf, "instructions").segments)
    at = count = 0
    is_plain = True
    while at < len(code):
        size = instruction_length(code[at])
        is_plain &= size == 4 and code[at] & OPCODE in _PLAIN
        at, count = at + size, count + 1
    return code, count, is_plain


def _both(value: int) -> str:
    signed = (value & _ALL) - ((value & _ALL) >> 63 << 64)
    return f"{value & _ALL:#x}" + (f" ({signed})" if -1000 < signed < 0 else "")
