"""Random instructions of each kind, as bytes; none of them jumps or writes a register that a stream relies on."""

import random
from collections.abc import Callable, Sequence

POINTERS = range(18, 24)
"""Registers that hold addresses and are never written."""
LANDING = 26
"""Where a stream goes on when it has jumped to what cannot be fetched."""
BUDGET = 27
"""How many jumps to addresses in registers a stream may still make."""
RESERVED = frozenset((*POINTERS, LANDING, BUDGET))
FREE = tuple(number for number in range(32) if number not in RESERVED)

Source = random.Random
READABLE_CSRS = (
    0x001, 0x002, 0x003, 0x100, 0x104, 0x105, 0x106, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180, 0x300, 0x301, 0x302,
    0x303, 0x304, 0x305, 0x306, 0x341, 0x342, 0x343, 0x344, 0xF11, 0xF14,
)  # fmt: skip
MISSING_CSRS = (0x000, 0x005, 0x045, 0x180 + 1, 0x400, 0x5FF, 0x7C0, 0x800, 0x9FF, 0xBC0, 0xCC0, 0xFC0)
WRITABLE_CSRS = (0x001, 0x002, 0x003, 0x140, 0x142, 0x143, 0x342, 0x343)
"""CSRs that take any value without harm to the stream."""
COUNTER_ENABLES = (0x106, 0x306)
"""They have 32 bits, but QEMU keeps 64."""


def word(value: int) -> bytes:
    """A 32-bit instruction."""
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


def half(value: int) -> bytes:
    """A 16-bit instruction."""
    return (value & 0xFFFF).to_bytes(2, "little")


def r_type(opcode: int, rd: int, funct3: int, rs1: int, rs2: int, funct7: int) -> bytes:
    """Register to register."""
    return word(funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode)


def i_type(opcode: int, rd: int, funct3: int, rs1: int, immediate: int) -> bytes:
    """Register and 12-bit immediate."""
    return word((immediate & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode)


def s_type(opcode: int, funct3: int, rs1: int, rs2: int, immediate: int) -> bytes:
    """Store."""
    immediate &= 0xFFF
    return word(immediate >> 5 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (immediate & 31) << 7 | opcode)


def b_type(funct3: int, rs1: int, rs2: int, offset: int) -> bytes:
    """Branch."""
    offset &= 0x1FFF
    return word(
        (offset >> 12) << 31 | (offset >> 5 & 63) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12
        | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63
    )  # fmt: skip


def jal(rd: int, offset: int) -> bytes:
    """Jump and link."""
    offset &= 0x1F_FFFF
    return word(
        (offset >> 20) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20 | (offset >> 12 & 0xFF) << 12
        | rd << 7 | 0x6F
    )  # fmt: skip


def addi(rd: int, rs1: int, immediate: int) -> bytes:
    """Add an immediate."""
    return i_type(0x13, rd, 0, rs1, immediate)


def csr(kind: int, rd: int, number: int, source: int) -> bytes:
    """A CSR instruction: kind 1 to 3 writes, sets, clears with a register, 5 to 7 with an immediate."""
    return word(number << 20 | source << 15 | kind << 12 | rd << 7 | 0x73)


def load_constant(rd: int, value: int) -> bytes:
    """Put a signed 32-bit number into a register (two instructions)."""
    low = (value & 0xFFF) - (value & 0x800) * 2
    return word(((value - low) & 0xFFFF_F000) | rd << 7 | 0x37) + i_type(0x1B, rd, 0, rd, low)


def free(source: Source) -> int:
    """A register that may be written."""
    return source.choice(FREE)


def any_register(source: Source) -> int:
    """A register to read."""
    return source.randrange(32)


def base(source: Source) -> int:
    """A register that holds an address of the stream's own."""
    return source.choice(POINTERS)


def offset(source: Source) -> int:
    """A displacement: small, at a page's edge, or any."""
    return source.choice((0, 0, 8, -8, source.randrange(-64, 64), source.randrange(-2048, 2048)))


def integer(source: Source) -> bytes:
    """I and M."""
    rd, rs1, rs2 = free(source), any_register(source), any_register(source)
    kind = source.randrange(6)
    if kind == 0:
        return r_type(0x33, rd, source.randrange(8), rs1, rs2, source.choice((0, 0, 1, 1, 0x20)))
    if kind == 1:
        return r_type(0x3B, rd, source.randrange(8), rs1, rs2, source.choice((0, 0, 1, 1, 0x20)))
    if kind == 2:
        return i_type(0x13, rd, source.randrange(8), rs1, source.getrandbits(12))
    if kind == 3:
        return i_type(0x1B, rd, source.choice((0, 1, 5, source.randrange(8))), rs1, source.getrandbits(12))
    if kind == 4:
        return word(source.getrandbits(20) << 12 | rd << 7 | source.choice((0x37, 0x17)))
    funct3 = source.choice((1, 5))
    shift = source.getrandbits(6) | (source.choice((0, 0x400)) if funct3 == 5 else 0)
    return i_type(0x13, rd, funct3, rs1, shift)


def load(source: Source) -> bytes:
    """A load; one in eight has the width that does not exist."""
    return i_type(0x03, free(source), source.randrange(8), base(source), offset(source))


def store(source: Source) -> bytes:
    """A store."""
    return s_type(0x23, source.randrange(4), base(source), any_register(source), offset(source))


def atomic(source: Source) -> bytes:
    """AMO, LR or SC on an address without displacement."""
    funct5 = source.choice((0, 1, 2, 3, 4, 8, 12, 16, 20, 24, 28, source.randrange(32)))
    rs2 = 0 if funct5 == 2 and source.random() < 0.9 else any_register(source)
    address = source.choice(POINTERS)
    return r_type(0x2F, free(source), source.choice((2, 3)), address, rs2, funct5 << 2 | source.getrandbits(2))


def reservation(source: Source) -> bytes:
    """LR, perhaps something between, and SC."""
    width, address = source.choice((2, 3)), source.choice(POINTERS)
    between = source.choice((b"", b"", integer(source), store(source)))
    first = r_type(0x2F, free(source), width, address, 0, 2 << 2)
    return first + between + r_type(0x2F, free(source), width, address, any_register(source), 3 << 2)


def wild(source: Source) -> bytes:
    """A load or store through whatever a register holds: physical addresses would meet QEMU's other devices."""
    register = any_register(source)
    if source.random() < 0.5:
        return i_type(0x03, free(source), source.randrange(8), register, offset(source))
    return s_type(0x23, source.randrange(4), register, any_register(source), offset(source))


def _is_compressed_memory(value: int) -> bool:
    quadrant, funct3 = value & 3, value >> 13
    return quadrant in (0, 2) and funct3 not in (0, 4)


def compressed(source: Source) -> bytes:
    """Any 16 bits that neither jump, nor access memory, nor write a reserved register."""
    while True:
        value = source.getrandbits(16)
        quadrant, funct3, register = value & 3, value >> 13, value >> 7 & 31
        if quadrant == 3 or _is_compressed_memory(value) or (quadrant == 1 and funct3 in (5, 6, 7)):
            continue
        if value & 0xE003 == 0x8000 or value & 0xFC43 == 0x9C41:
            continue  # reserved: what happens is not specified, and the core does nothing
        if quadrant == 2 and funct3 == 4 and not value >> 2 & 31 and register:  # c.jr, c.jalr
            continue
        if quadrant in (1, 2) and register in RESERVED:
            continue
        return half(value)


def compressed_memory(source: Source) -> bytes:
    """A compressed load or store of an integer, behind an instruction that gives it an address."""
    return _compressed_memory(source, floats=False)


def compressed_float_memory(source: Source) -> bytes:
    """The same for a floating-point register."""
    return _compressed_memory(source, floats=True)


def _compressed_memory(source: Source, *, floats: bool) -> bytes:
    while True:
        value = source.getrandbits(16)
        if not _is_compressed_memory(value) or (value >> 13 & 3 == 1) is not floats:
            continue
        if value & 3 == 2 and value >> 7 & 31 in RESERVED and not floats:
            continue
        register = 2 if value & 3 == 2 else 8 + (value >> 7 & 7)
        return addi(register, base(source), source.choice((0, 0, 0, -8, 4, 1))) + half(value)


_TO_FLOAT = (0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x2C, 0x20, 0x68, 0x78)
_TO_INTEGER = (0x50, 0x60, 0x70)
"""funct7 of comparisons, conversions, and fmv.x and fclass."""


def floating_point(source: Source) -> bytes:
    """F and D: arithmetic, fused, conversions and moves to floating-point registers, and the encodings between them."""
    if source.random() < 0.2:
        opcode = source.choice((0x43, 0x47, 0x4B, 0x4F))
        operands = any_register(source), any_register(source), any_register(source) << 2 | source.getrandbits(1)
        return r_type(opcode, any_register(source), _rounding(source), *operands)
    return _float_operation(source, source.choice(_TO_FLOAT), any_register(source))


def float_to_integer(source: Source) -> bytes:
    """F and D: comparisons, and conversions and moves to integer registers."""
    return _float_operation(source, source.choice(_TO_INTEGER), free(source))


def _rounding(source: Source) -> int:
    return source.choice((7, 7, 7, 0, 1, 2, 3, 4, source.randrange(8)))


def _float_operation(source: Source, funct7: int, rd: int) -> bytes:
    rs1, rs2, double = any_register(source), any_register(source), source.getrandbits(1)
    rounding = _rounding(source)
    if funct7 in (0x10, 0x14, 0x50, 0x70, 0x78):
        rounding = source.choice((0, 1, 2, source.randrange(8)))
    if funct7 in (0x2C, 0x20, 0x60, 0x68, 0x70, 0x78) and source.random() < 0.95:
        rs2 = source.randrange(4) if funct7 in (0x60, 0x68) else 1 - double if funct7 == 0x20 else 0
    return r_type(0x53, rd, rounding, rs1, rs2, funct7 | double)


def float_memory(source: Source) -> bytes:
    """Loads and stores of floating-point registers."""
    if source.random() < 0.5:
        return i_type(0x07, any_register(source), source.choice((2, 3)), base(source), offset(source))
    return s_type(0x27, source.choice((2, 3)), base(source), any_register(source), offset(source))


def csr_access(source: Source) -> bytes:
    """Read a CSR; or write one that takes anything."""
    if source.random() < 0.5:
        number = source.choice(READABLE_CSRS) if source.random() < 0.85 else source.choice(MISSING_CSRS)
        return csr(source.choice((2, 3, 6, 7)), free(source), number, 0)
    if source.random() < 0.2:
        return csr(source.choice((5, 6, 7)), free(source), source.choice(COUNTER_ENABLES), source.randrange(8))
    if source.random() < 0.1:  # QEMU keeps bit 0 of these two
        even = addi(5, source.choice((0, *POINTERS)), 0) + i_type(0x13, 5, 7, 5, -2)
        return even + csr(1, 0, source.choice((0x141, 0x341)), 5)
    number = source.choice(WRITABLE_CSRS)
    if number <= 3:  # setting or clearing the bits of a register that is 0 makes QEMU's FS no dirtier
        return csr(source.choice((1, 5, 6, 7)), free(source), number, source.randrange(1, 32))
    return csr(source.choice((1, 2, 3, 5, 6, 7)), free(source), number, any_register(source))


def counter_gate(source: Source) -> bytes:
    """Read a counter into x0: its value differs between machines, whether it may be read does not."""
    return csr(2, 0, source.choice((0xC00, 0xC01, 0xC02)), 0)


def environment(source: Source) -> bytes:
    """What always traps, and fences."""
    fences = 0x0FF0_000F, 0x0000_100F, 0x1200_0073, 0x1200_0073 | 5 << 15
    return word(source.choice((0x73, 0x73, 0x0010_0073, 0x8000_0073, *fences)))


_MEMORY_AND_CONTROL = (0x03, 0x07, 0x23, 0x27, 0x2F, 0x63, 0x67, 0x6F, 0x73)


def noise(source: Source) -> bytes:
    """Any 32 bits that neither jump, access CSRs or memory, write a reserved register, nor are `float_to_integer`'s."""
    while True:
        value = source.getrandbits(32) | 3
        is_long, opcode, register = value & 0x1C == 0x1C, value & 0x7F, value >> 7 & 31
        to_integer = opcode == 0x53 and value >> 25 & ~1 in _TO_INTEGER
        if not is_long and opcode not in _MEMORY_AND_CONTROL and register not in RESERVED and not to_integer:
            return word(value)


Kind = Callable[[Source], bytes]
KINDS: Sequence[tuple[Kind, int]] = (
    (integer, 20), (compressed, 11), (compressed_memory, 5), (compressed_float_memory, 2), (load, 10), (store, 8),
    (wild, 1), (atomic, 7), (reservation, 2), (floating_point, 12), (float_to_integer, 5), (float_memory, 3),
    (csr_access, 7), (counter_gate, 1), (environment, 2), (noise, 3),
)  # fmt: skip
"""Every kind with its weight."""
