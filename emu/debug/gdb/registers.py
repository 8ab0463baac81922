"""The registers that a debugger sees: their numbers, the target description, and their values in a machine."""

from collections.abc import Callable
from functools import cache
from html import escape

from emu.address import VirtAddr
from emu.errors import EmuError
from emu.isa.csrs import HPM_COUNTERS, MHPM_COUNTERS, MHPM_EVENTS, Csr
from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_REGISTERS, INTEGER_REGISTERS
from emu.lateclass import dataclass
from emu.machine import Machine

PC = 32
"""GDB's number of pc."""
FIRST_FLOAT = 33
_FIRST_CSR = 65
"""GDB's own number of CSR 0; `fflags` is 66 there as on QEMU."""
PRIVILEGE = _FIRST_CSR + 4096
IN_ONE_PACKET = FIRST_FLOAT + 32
"""The registers of a `g` packet: x0 to x31, pc, f0 to f31. CSRs are asked for one by one."""
SIZE = 8
"""Bytes of each register."""

_MASK = (1 << 64) - 1
_ARGUMENTS = {f"a{index}": f"arg{index + 1}" for index in range(8)}
_ROLES = {"pc": "pc", "sp": "sp", "fp": "fp", "s0": "fp", "ra": "ra", **_ARGUMENTS}
_FLOAT_CSRS = (Csr.FFLAGS, Csr.FRM, Csr.FCSR)


@dataclass(frozen=True, slots=True)
class Register:
    """One register of the target description."""

    name: str
    number: int
    kind: str
    group: str
    bits: int = 64


@cache
def _csrs() -> tuple[tuple[str, int], ...]:
    named = [(csr.label, int(csr)) for csr in Csr if csr not in _FLOAT_CSRS]
    for prefix, numbers in (("hpmcounter", HPM_COUNTERS), ("mhpmcounter", MHPM_COUNTERS), ("mhpmevent", MHPM_EVENTS)):
        named += [(f"{prefix}{index}", number) for index, number in enumerate(numbers, 3)]
    return tuple(sorted(named, key=lambda item: item[1]))


@cache
def features() -> dict[str, tuple[Register, ...]]:
    """The registers by feature, with the names that GDB demands (GDB manual, G.5.14)."""
    pointers = {"ra": "code_ptr", "sp": "data_ptr", "gp": "data_ptr", "tp": "data_ptr"}
    integers = [
        Register(name, number, pointers.get(name, "int"), "general") for number, name in enumerate(INTEGER_REGISTERS)
    ]
    floats = [
        Register(name, FIRST_FLOAT + number, "riscv_double", "float") for number, name in enumerate(FLOAT_REGISTERS)
    ]
    flags = [Register(csr.label, _FIRST_CSR + csr, "int", "float", 32) for csr in _FLOAT_CSRS]
    csrs = [Register(name, _FIRST_CSR + number, "int", "csr") for name, number in _csrs()]
    return {
        "org.gnu.gdb.riscv.cpu": (*integers, Register("pc", PC, "code_ptr", "general")),
        "org.gnu.gdb.riscv.fpu": (*floats, *flags),
        "org.gnu.gdb.riscv.virtual": (Register("priv", PRIVILEGE, "int", "system"),),
        "org.gnu.gdb.riscv.csr": tuple(csrs),
    }


@cache
def target_description() -> str:
    """The XML that a debugger asks for.

    Its `osabi` is none: with the one of Linux, which GDB takes for RISC-V otherwise, a step over `ecall` does not go
    into the trap.

    >>> "<osabi>none</osabi>" in target_description()
    True
    """
    parts = ['<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">']
    parts.append("<architecture>riscv:rv64</architecture><osabi>none</osabi>")
    for name, registers in features().items():
        parts.append(f'<feature name="{name}">')
        if name.endswith("fpu"):
            parts.append(
                '<union id="riscv_double"><field name="float" type="ieee_single"/>'
                '<field name="double" type="ieee_double"/></union>'
            )
        parts += [
            f'<reg name="{escape(one.name)}" bitsize="{one.bits}" regnum="{one.number}" type="{one.kind}" '
            f'group="{one.group}"{_generic(one.name)}/>'
            for one in registers
        ]
        parts.append("</feature>")
    return "".join((*parts, "</target>"))


def _generic(name: str) -> str:
    """What lldb wants to know of a register beside its name; gdb does not look at it."""
    role = _ROLES.get(name)
    return "" if role is None else f' generic="{role}"'


class RegisterFile:
    """The registers of a machine's hart by GDB's numbers, as hexadecimal digits in the target's byte order."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._sizes = {one.number: one.bits // 8 for group in features().values() for one in group}

    def read(self, number: int) -> str | None:
        """The value of a register; None when there is none of that number, or the hart lacks it."""
        value = self._value(number)
        if value is None:
            return None
        return (value & (1 << 8 * self._sizes[number]) - 1).to_bytes(self._sizes[number], "little").hex()

    def read_all(self) -> str:
        """The registers of a `g` packet."""
        return "".join(self.read(number) or "x" * 2 * SIZE for number in range(IN_ONE_PACKET))

    def write(self, number: int, digits: str) -> bool:
        """Change a register; False when it cannot be changed. ValueError for what is no hexadecimal number."""
        if number not in self._sizes:
            return False
        value = int.from_bytes(bytes.fromhex(digits), "little")
        hart = self._machine.hart
        if number < PC:
            hart.x[number] = value
        elif number == PC:
            hart.pc = VirtAddr(value & ~1)
        elif number < FIRST_FLOAT + 32:
            hart.f[number - FIRST_FLOAT] = value
        elif number == PRIVILEGE:
            if value not in set(Privilege):
                return False
            hart.privilege = Privilege(value)
        else:
            return self._attempt(lambda: hart.csr.__setitem__(number - _FIRST_CSR, value))
        return True

    def write_all(self, digits: str) -> bool:
        """Change the registers of a `G` packet, as many as are given."""
        values = [digits[at : at + 2 * SIZE] for at in range(0, len(digits), 2 * SIZE)]
        if len(values) > IN_ONE_PACKET or any(len(value) != 2 * SIZE for value in values):
            return False
        return all(self.write(number, value) for number, value in enumerate(values) if "x" not in value)

    def _value(self, number: int) -> int | None:
        hart = self._machine.hart
        if number not in self._sizes:
            return None
        if number < PC:
            return hart.x[number]
        if number == PC:
            return int(hart.pc)
        if number < FIRST_FLOAT + 32:
            return hart.f[number - FIRST_FLOAT]
        if number == PRIVILEGE:
            return int(hart.privilege)
        found: list[int] = []
        self._attempt(lambda: found.append(hart.csr[number - _FIRST_CSR]))
        return found[0] & _MASK if found else None

    @staticmethod
    def _attempt(action: Callable[[], object]) -> bool:
        try:
            action()
        except EmuError:
            return False
        return True
