"""Compares what two machines left in memory, and tells the first difference so that a person can follow it."""

import struct
from collections.abc import Iterator, Sequence

import capstone

from emu.isa.causes import ExceptionCause
from tests.emu.differential.layout import (
    AREA_SIZE,
    CONTROL,
    CSR_WORDS,
    FIRST_AREA,
    LOG,
    RAM_BASE,
    RECORD_WORDS,
    STREAM,
    TABLE_PAGE,
    WORD_NAMES,
)  # fmt: skip
from tests.emu.differential.streams import Stream

Record = tuple[int, ...]
_ALL = (1 << 64) - 1
_RECORD = struct.Struct(f"<{RECORD_WORDS}Q")
_DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
_ACCESSED = 1 << 6
"""A may be set for an access that is not made in the end (privileged manual, section 4.3.1): an AMO to a page that can
only be read is begun here as a load."""
_SUM_IN_S = 1 << 18 | 1 << 11
"""SUM, and that the trap came from S mode (MPP)."""
_SHOWN = 12
"""Differing words of a record that are shown."""


def records(ram: bytes) -> Iterator[Record]:
    """The log: one record for each trap that M mode took."""
    (end,) = struct.unpack_from("<Q", ram, CONTROL - RAM_BASE + 24)
    for place in range(LOG, end, _RECORD.size):
        yield _RECORD.unpack_from(ram, place - RAM_BASE)


def differences(reference: bytes, ours: bytes, streams: Sequence[Stream]) -> Iterator[tuple[int, str]]:
    """For each stream that went another way: its number, and a description that ends with the first difference."""
    by_stream: tuple[dict[int, list[Record]], ...] = ({}, {})
    for ram, found in zip((reference, ours), by_stream, strict=True):
        for record in records(ram):
            found.setdefault(record[STREAM], []).append(record)
    for stream in streams:
        expected, seen = (found.get(stream.number, []) for found in by_stream)
        text = _first_difference(expected, seen)
        if not text and not any(map(_are_both_right, expected, seen)):
            text = _memory_difference(reference, ours, stream.number)
        if text:
            yield stream.number, f"{disassembly(stream)}\n{text}"


def _first_difference(expected: list[Record], seen: list[Record]) -> str:
    parted = False
    for number, (one, other) in enumerate(zip(expected, seen, strict=False)):
        parted |= _are_both_right(one, other)
        if one != other:
            if parted:
                return ""
            return f"trap {number} {_summary(one)}:\n{_words(one, other)}\n{_before(expected, number)}"
    if len(expected) != len(seen):
        longer, who = max((expected, "QEMU"), (seen, "this machine"), key=lambda pair: len(pair[0]))
        extra = min(len(expected), len(seen))
        return "" if parted else f"only {who} takes trap {extra} {_summary(longer[extra])}"
    return ""


def _are_both_right(qemu: Record, ours: Record) -> bool:
    """Whether both took a trap of which the manual leaves the details open; what follows cannot be compared.

    A store over the end of a page may find either half at fault first, and may store the half before the fault. QEMU
    is wrong, and goes its own way, where it lets S mode execute a page of U mode that it has read with SUM, and where
    it has taken 3 for UXL.
    """
    if qemu[CSR_WORDS["mstatus"]] >> 32 & 3 == 3:
        return True
    (cause, pc, tval), (our_cause, our_pc, our_tval) = _trap(qemu), _trap(ours)
    if our_cause == ExceptionCause.INSTRUCTION_PAGE_FAULT and ours[CSR_WORDS["mstatus"]] & _SUM_IN_S == _SUM_IN_S:
        return our_tval == our_pc == pc and cause != our_cause
    if our_cause != ExceptionCause.STORE_ACCESS_FAULT or pc != our_pc:
        return False
    if cause == ExceptionCause.STORE_PAGE_FAULT:
        return tval == (our_tval | 0xFFF) + 1
    return cause == our_cause and tval == our_tval and not 0 < tval & 0xFFF <= 0xFF8


def _trap(record: Record) -> tuple[int, ...]:
    """Cause, pc and tval of the trap that the stream took: what S mode's handler found, when that called."""
    in_s = record[CSR_WORDS["mcause"]] == ExceptionCause.ECALL_FROM_S
    names = ("scause", "sepc", "stval") if in_s else ("mcause", "mepc", "mtval")
    return tuple(record[CSR_WORDS[name]] for name in names)


def _words(one: Record, other: Record) -> str:
    lines = [
        f"  {WORD_NAMES.get(word, f'word {word}'):10} QEMU {expected:#018x}  this machine {seen:#018x}"
        for word, (expected, seen) in enumerate(zip(one, other, strict=True))
        if expected != seen
    ]
    return "\n".join(lines[:_SHOWN])


def _before(expected: list[Record], number: int) -> str:
    if not number:
        return "  it is the first trap of the stream"
    registers = " ".join(f"x{index}={value:x}" for index, value in enumerate(expected[number - 1][:32]) if index)
    floats = " ".join(f"f{index}={value:x}" for index, value in enumerate(expected[number - 1][32:64]))
    return f"  the same at the trap before, {_summary(expected[number - 1])}:\n  {registers}\n  {floats}"


def _summary(record: Record) -> str:
    csrs = ("mcause", "mepc", "mtval", "mstatus", "scause", "sepc", "stval", "fcsr")
    return " ".join(f"{name}={record[CSR_WORDS[name]]:x}" for name in csrs)


def _memory_difference(reference: bytes, ours: bytes, number: int) -> str:
    start = FIRST_AREA - RAM_BASE + number * AREA_SIZE
    if reference[start : start + AREA_SIZE] == ours[start : start + AREA_SIZE]:
        return ""
    tables = start + TABLE_PAGE * 4096
    for place in range(start, start + AREA_SIZE, 8):
        one, other = (int.from_bytes(ram[place : place + 8], "little") for ram in (reference, ours))
        if one != other and not (place >= tables and one | _ACCESSED == other):
            return f"  memory at {place + RAM_BASE:#x}: QEMU {one:#018x}  this machine {other:#018x}"
    return ""


def disassembly(stream: Stream) -> str:
    """The instructions of a stream, at the addresses at which it executes them."""
    address, code = stream.first + stream.start, stream.code
    lines, at = [], 0
    while at < len(code):
        size = 4 if code[at] & 3 == 3 else 2
        found = list(_DISASSEMBLER.disasm(code[at : at + size], address + at))
        text = f"{found[0].mnemonic} {found[0].op_str}" if found else "?"
        lines.append(f"  {address + at:#x}: {int.from_bytes(code[at : at + size], 'little'):0{2 * size}x}  {text}")
        at += size
    return "\n".join(lines)
