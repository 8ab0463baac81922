"""One instruction with many operands in one run: a loop of the guest loads, executes and stores what came out."""

from collections.abc import Iterator, Mapping, Sequence

from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_NUMBERS, REGISTER_NUMBERS
from emu.machine import Machine
from emu.testing.program import built

CODE, TABLE = 0x8020_0000, 0x8021_0000
OWN = frozenset({"s9", "s10", "s11"})
"""Registers of the loop itself."""
FLOATING_POINT_ON = 1 << 13


def fits(keys: set[str], given: set[str], source: str) -> bool:
    """Whether such cases can be executed in a loop: nothing but registers and flags go in and come out."""
    registers = REGISTER_NUMBERS.keys() | FLOAT_NUMBERS.keys()
    return (
        keys <= registers | {"fflags"}
        and not OWN & (keys | given)
        and not any(own in source for own in OWN)
        and "\n" not in source.removeprefix("fsrm a7\n")
    )


def outcomes(
    machine: Machine, source: str, keys: Sequence[str], inputs: Sequence[Mapping[str, int]]
) -> Iterator[list[int]]:
    """What is under each of the keys after each of the inputs. Registers that are not named are 0, and so is `fcsr`."""
    given = sorted(inputs[0])
    size = 8 * (len(given) + len(keys))
    lines = [f"{_load(name)} {name}, {8 * number}(s10)" for number, name in enumerate(given)]
    lines += [f"{_clear(name)}, zero" for name in keys if name not in given and name != "fflags"]
    lines += ["fscsr zero", source, "frflags s9"]
    for number, name in enumerate(keys, start=len(given)):
        lines.append(f"{_store(name)} {'s9' if name == 'fflags' else name}, {8 * number}(s10)")
    body = "\n".join(lines)
    image = built(
        f"_again:\n{body}\naddi s10, s10, {size}\nbne s10, s11, _again\n.globl _ended\n_ended: j _ended", CODE
    )
    hart, memory = machine.hart, machine.memory
    for segment in image.segments:
        memory.write(segment.physical, segment.data)
    table = b"".join(b"".join(each[name].to_bytes(8, "little") for name in given).ljust(size, b"\0") for each in inputs)
    memory.write(TABLE, table)
    hart.privilege, hart.csr["mstatus"], hart.csr["mcause"], hart.csr["mtvec"] = Privilege.M, FLOATING_POINT_ON, 0, 0
    for number in range(1, 32):
        hart.x[number] = 0
    hart.x["s10"], hart.x["s11"], hart.pc = TABLE, TABLE + len(table), CODE
    end = image.symbols.lookup("_ended").address
    machine.run(max_instructions=(len(body.splitlines()) + 20) * len(inputs), until=end)
    assert hart.pc == end, f"{source!r} in a loop came to {hart.pc:#x}, mcause {hart.csr['mcause']}"
    words = memoryview(memory.read(TABLE, len(table))).cast("Q")
    for first in range(len(given), len(words), size // 8):
        yield list(words[first : first + len(keys)])


def _load(name: str) -> str:
    return "fld" if name in FLOAT_NUMBERS else "ld"


def _store(name: str) -> str:
    return "fsd" if name in FLOAT_NUMBERS else "sd"


def _clear(name: str) -> str:
    return f"fmv.d.x {name}" if name in FLOAT_NUMBERS else f"mv {name}"
