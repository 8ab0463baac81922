"""Compares what two machines left in memory, and tells the first difference so that a person can follow it."""

from collections.abc import Iterator

import capstone
import numpy as np

from emu.isa.causes import ExceptionCause
from tests.emu.differential.batch import Areas
from tests.emu.differential.layout import (
    AREA_SIZE,
    CODE_SIZE,
    CURSOR,
    FINAL,
    FINAL_CSRS,
    FIRST_AREA,
    FIRST_CODE,
    LOG,
    MOST_TRAPS,
    RECORD_CSRS,
    RECORD_WORDS,
    STATE_PAGE,
    TABLE_PAGE,
)  # fmt: skip
from tests.emu.differential.programs import Programs
from tests.emu.differential.traits import MODES

Record = tuple[int, ...]
_DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
_ACCESSED = np.uint64(1 << 6)
"""A may be set for an access that is not made in the end (privileged manual, section 4.3.1): an AMO to a page that can
only be read is begun here as a load."""
_SUM_IN_S = 1 << 18 | 1 << 11
"""SUM, and that the trap came from S mode (MPP)."""
_V, _X, _U = 1 << 0, 1 << 3, 1 << 4
_VS, _MPP, _NO_MODE, _MPRV = 3 << 9, 3 << 11, 2 << 11, 1 << 17
_SHOWN = 12
"""Differing words that are shown."""
_RECORD_NAMES = {**{number: f"x{number}" for number in range(1, 32)}, **{at: n for n, at in RECORD_CSRS.items()}}
_FINAL_NAMES = {**{number: f"f{number}" for number in range(32)}, **{at: n for n, at in FINAL_CSRS.items()}}


def records(areas: Areas, program: int) -> list[Record]:
    """One record for each trap that M mode took, oldest first."""
    state = areas[program, STATE_PAGE * 512 : (STATE_PAGE + 1) * 512]
    begin = FIRST_AREA + program * AREA_SIZE + STATE_PAGE * 4096 + LOG * 8
    count = (int(state[CURSOR]) - begin) // (RECORD_WORDS * 8)
    assert 0 <= count <= MOST_TRAPS
    log = state[LOG : LOG + count * RECORD_WORDS].reshape(count, RECORD_WORDS)
    return [tuple(map(int, record)) for record in log]


def differences(
    reference: Areas, ours: Areas, programs: Programs, fidelity: str = "exact"
) -> Iterator[tuple[int, str]]:
    """For each program that went another way: its number, and a description that ends with the first difference."""
    for number in map(int, np.flatnonzero((reference != ours).any(axis=1))):
        if programs.only not in (None, number):
            continue
        text = _difference(reference, ours, number, fidelity)
        if text:
            yield number, f"{MODES[programs.traits.mode[number]]}\n{disassembly(programs, number)}\n{text}"


def _difference(reference: Areas, ours: Areas, number: int, fidelity: str) -> str:
    expected, seen = records(reference, number), records(ours, number)
    for index, (one, other) in enumerate(zip(expected, seen, strict=False)):
        table = ours[number, TABLE_PAGE * 512 : (TABLE_PAGE + 1) * 512]
        if _are_both_right(one, other, table) or (fidelity == "fast" and _executes_page_of_u_mode(one, other, table)):
            return ""
        if one != other:
            head = f"trap {index} {_summary(one)}"
            return f"{head}:\n{_words(one, other, _RECORD_NAMES)}\n{_before(expected, index)}"
    if len(expected) != len(seen):
        longer, who = max((expected, "QEMU"), (seen, "this machine"), key=lambda pair: len(pair[0]))
        extra = min(len(expected), len(seen))
        return f"only {who} takes trap {extra} {_summary(longer[extra])}"
    return _left(reference[number], ours[number], number)


def _are_both_right(qemu: Record, ours: Record, table: Areas) -> bool:
    """Whether both took a trap of which the manual leaves the details open; what follows cannot be compared.

    A store over the end of a page may find either half at fault first, and may store the half before the fault. QEMU
    is wrong, and goes its own way, where it lets S mode execute a page of U mode that it has read with SUM, where M
    mode has MPRV and accesses the page that it executes, and where `mstatus` has taken 3 for UXL, 2 for MPP, or VS,
    which there is not: programs do not write these, but a jump into their middle may.
    """
    status = qemu[RECORD_CSRS["mstatus"]]
    if status >> 32 & 3 == 3 or status & _VS or status & _MPP == _NO_MODE:
        return True
    (cause, pc, tval), (our_cause, our_pc, our_tval) = _trap(qemu), _trap(ours)
    if _executes_page_of_u_mode(ours, qemu, table) or _accesses_page_of_code(ours, qemu):
        return True
    if our_cause != ExceptionCause.STORE_ACCESS_FAULT or pc != our_pc:
        return False
    if cause == ExceptionCause.STORE_PAGE_FAULT:
        return tval == (our_tval | 0xFFF) + 1
    return cause == our_cause and tval == our_tval and not 0 < tval & 0xFFF <= 0xFF8


def _executes_page_of_u_mode(right: Record, other: Record, table: Areas) -> bool:
    """Whether the other one executed what S mode may not, as QEMU and `fast` do behind a load with SUM.

    An AMO to a page that can only be read is a load in this sense for `fast`, and none for QEMU. The other one may
    come far, or to the second half of the instruction, which lies in a page that is missing. That half alone may be
    what the right one was refused.
    """
    cause, pc, tval = _trap(right)
    is_fetch = cause == ExceptionCause.INSTRUCTION_PAGE_FAULT and tval in {pc, pc + 2}
    with_sum = right[RECORD_CSRS["mstatus"]] & _SUM_IN_S == _SUM_IN_S
    return is_fetch and with_sum and _trap(other) != (cause, pc, tval) and _is_of_user(table, tval)


def _accesses_page_of_code(right: Record, other: Record) -> bool:
    """Whether M mode was refused an access to its own page by what MPRV made of it: others take it for the fetch's."""
    cause, pc, tval = _trap(right)
    is_fault = cause in (ExceptionCause.LOAD_PAGE_FAULT, ExceptionCause.STORE_PAGE_FAULT)
    from_m = right[RECORD_CSRS["mstatus"]] & (_MPRV | _MPP) == _MPRV | _MPP
    return is_fault and from_m and pc >> 12 == tval >> 12 and _trap(other) != (cause, pc, tval)


def _is_of_user(table: Areas, address: int) -> bool:
    """Whether a leaf for this address has U; a program's only table stands for all of its levels."""
    indexes = {address >> 12 + 9 * level & 511 for level in range(5)}
    return any(int(table[index]) & (_V | _X | _U) == _V | _X | _U for index in indexes)


def _trap(record: Record) -> tuple[int, ...]:
    """Cause, pc and tval of the trap that the program took: what S mode's handler found, when that called."""
    in_s = record[RECORD_CSRS["mcause"]] == ExceptionCause.ECALL_FROM_S
    names = ("scause", "sepc", "stval") if in_s else ("mcause", "mepc", "mtval")
    return tuple(record[RECORD_CSRS[name]] for name in names)


def _words(one: Record, other: Record, names: dict[int, str]) -> str:
    lines = [
        f"  {names.get(word, f'word {word}'):10} QEMU {expected:#018x}  this machine {seen:#018x}"
        for word, (expected, seen) in enumerate(zip(one, other, strict=True))
        if expected != seen
    ]
    return "\n".join(lines[:_SHOWN])


def _before(expected: list[Record], number: int) -> str:
    if not number:
        return "  it is the first trap of the program"
    registers = " ".join(f"x{index}={value:x}" for index, value in enumerate(expected[number - 1][:32]) if index)
    return f"  the same at the trap before, {_summary(expected[number - 1])}:\n  {registers}"


def _summary(record: Record) -> str:
    return " ".join(f"{name}={record[word]:x}" for name, word in RECORD_CSRS.items())


def _left(reference: Areas, ours: Areas, number: int) -> str:
    """What differs at the end: floating-point registers, CSRs, memory."""
    final = slice(STATE_PAGE * 512 + FINAL, STATE_PAGE * 512 + LOG)
    one, other = (tuple(map(int, words[final])) for words in (reference, ours))
    if one != other:
        return f"at its end:\n{_words(one, other, _FINAL_NAMES)}"
    wrong = np.flatnonzero(reference != ours)
    tables = (wrong >= TABLE_PAGE * 512) & (wrong < (TABLE_PAGE + 1) * 512)
    wrong = wrong[~(tables & (reference[wrong] | _ACCESSED == ours[wrong]))]
    if not wrong.size:
        return ""
    place, address = int(wrong[0]), FIRST_AREA + number * AREA_SIZE + 8 * int(wrong[0])
    if 8 * place >= AREA_SIZE:
        address = FIRST_CODE + number * CODE_SIZE + 8 * place - AREA_SIZE
    values = f"QEMU {int(reference[place]):#018x}  this machine {int(ours[place]):#018x}"
    return f"  memory at {address:#x}: {values}"


def disassembly(programs: Programs, number: int) -> str:
    """The instructions of a program, at the addresses at which it executes them, as an assembler takes them."""
    code = bytes(programs.code(number))
    address = int(programs.virtual_code()[number] + programs.starts[number, 0]) & (1 << 64) - 1
    lines, at = [], 0
    while at < len(code):
        size = 4 if code[at] & 3 == 3 else 2
        found = list(_DISASSEMBLER.disasm(code[at : at + size], address + at))
        text = f"{found[0].mnemonic} {found[0].op_str}" if found else "?"
        value = f".{size}byte {int.from_bytes(code[at : at + size], 'little'):#0{2 * size + 2}x}"
        lines.append(f"    {value:20}# {address + at:x}: {text}")
        at += size
    return "\n".join(lines)
