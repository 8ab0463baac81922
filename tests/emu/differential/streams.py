"""A random stream: instructions with forward branches, traps and returns, and the state in which they start."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from emu.isa.privilege import Privilege
from tests.emu.differential import encodings as e
from tests.emu.differential import tables
from tests.emu.differential.layout import (
    CODE_PAGE,
    CSR_WORDS,
    DATA_PAGE,
    DATA_PAGES,
    FLOATS,
    HANDLER_PAGE,
    RECORD_WORDS,
    SCRATCH,
    STRAY_PAGE,
    page,
)  # fmt: skip

MODES = ("machine", "bare", "sv39", "sv48", "sv57", "user")
"""M mode; S mode without and with paging; U mode with Sv39."""
_ALL = (1 << 64) - 1
_CODE_BYTES = 2 * 4096
_ECALL, _SRET, _MRET, _WFI, _NOTHING = 0x73, 0x1020_0073, 0x3020_0073, 0x1050_0073, 0x13
_SIE, _MIE, _SPIE, _MPIE, _SPP, _MPP_S, _MPRV = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8, 1 << 11, 1 << 17
_SUM, _MXR, _TVM, _TW, _TSR, _FS = 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 3 << 13
_SSTATUS, _MSTATUS = 0x100, 0x300
_INTERRUPTS = 0x222
_DELEGABLE = 0xB1FF
"""All but `ecall` from S mode, by which the handler of S mode reports."""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What streams leave out, because a fidelity is known to differ there (docs/conformance.md)."""

    kinds: frozenset[str] = frozenset()
    """Names of generators in `encodings`, or of the units below."""
    native_walks: bool = False
    """The core walks the page tables."""


@dataclass(slots=True)
class Stream:
    """What is written into a stream's area; `code` starts at `start` in the code pages."""

    number: int
    mode: str
    code: bytes
    start: int
    first: int
    """Virtual address of the first code page as the stream's privilege sees it."""
    pages: dict[int, bytes] = field(default_factory=dict)


class _Unit:
    """Instructions that belong together; `make` gets the distance from its start to the start of a later unit."""

    def __init__(self, size: int, make: Callable[[int], bytes]) -> None:
        self.size, self.make = size, make


def generate(seed: int, number: int, mode: str, length: int, exclusions: Exclusions) -> Stream:
    """The stream with this seed, for the area `number`."""
    return _Generator(random.Random(f"{seed} {mode}"), number, mode, exclusions).stream(length)


class _Generator:
    def __init__(self, source: random.Random, number: int, mode: str, exclusions: Exclusions) -> None:
        self.source, self.number, self.mode, self.exclusions = source, number, mode, exclusions
        self.paging = {"sv39": 8, "sv48": 9, "sv57": 10, "user": 8}.get(mode, 0)
        self.outside = source.random() < 0.3
        """Whether addresses lie where no memory is: QEMU takes an AMO there for a load, so there are none then."""
        self.clean = source.random() < 0.3
        """Whether FS may be Initial or Clean: QEMU forgets to make it Dirty for what only raises flags."""
        self.line = source.choice((0x2, 0x8, 0x20, 0x200))
        """The one interrupt that there is: of several QEMU takes the one with the lowest number."""
        self.space: tables.AddressSpace | None = None
        if mode == "machine":
            self.space = self._tables(source.choice((8, 9, 10)))
        self.has_returned = False
        """Whether the privilege may be lower than at the start."""
        self.privilege = {"machine": Privilege.M, "user": Privilege.U}.get(mode, Privilege.S)
        excluded = set(exclusions.kinds)
        excluded |= {"atomic"} if self.outside else set()
        excluded |= {"float_to_integer"} if self.clean else set()
        excluded |= set() if self.paging else {"wild"}
        self.kinds = [(kind, weight) for kind, weight in e.KINDS if kind.__name__ not in excluded]
        units: list[tuple[Callable[[], _Unit], int]] = [
            (self.branch, 8), (self.jump, 3), (self.jump_to_register, 3), (self.set_pointer, 4), (self.bad_jump, 1),
        ]  # fmt: skip
        if self.privilege != Privilege.U:
            units += [(self.status, 3), (self.interrupts, 2), (self.sret, 2), (self.address_space, 1)]
        if self.privilege == Privilege.M:
            units += [(self.mret, 2), (self.delegation, 2), (self.wait, 1), (self.software_interrupt, 1)]
        self.units = [(unit, weight) for unit, weight in units if unit.__name__ not in exclusions.kinds]

    # The whole.

    def _tables(self, mode: int) -> tables.AddressSpace:
        plain = self.exclusions.native_walks
        return tables.random_space(self.source, self.number, mode, plain_tables=plain, outside=self.outside)

    def stream(self, length: int) -> Stream:
        source = self.source
        units = [self.unit() for _ in range(length)]
        units.append(_Unit(8, lambda _: e.addi(e.BUDGET, 0, -1) + e.word(0)))
        targets = [min(len(units) - 1, at + 1 + source.randrange(8)) for at in range(len(units))]
        places, end = [], 0
        for unit in units:
            places.append(end)
            end += unit.size
        code = b"".join(
            unit.make(places[target] - place) for unit, place, target in zip(units, places, targets, strict=True)
        )
        start = source.choice((0, 0, 2, max(0, 4096 - end // 2 & ~1), 4096 - 2))
        start = min(start, _CODE_BYTES - end)
        stream = Stream(self.number, self.mode, code, start, page(self.number, CODE_PAGE))
        self._place(stream)
        return stream

    def _place(self, stream: Stream) -> None:
        source, number = self.source, self.number
        satp, handler = 0, page(number, HANDLER_PAGE)
        pointers = [page(number, DATA_PAGE) + source.randrange(4096 * DATA_PAGES), SCRATCH]
        if self.paging:
            space = self._tables(self.paging)
            satp, handler = space.satp, space.first + tables.HANDLER * 4096
            index = tables.U_CODE if self.privilege == Privilege.U else tables.S_CODE
            stream.first = space.first + index * 4096 & _ALL
            stream.pages.update(space.pages)
            level = 1 << 12 + 9 * source.randrange(1, tables.LEVELS[self.paging])
            pointers = [
                *(space.first + source.randrange(512) * 4096 for _ in range(8)),
                space.first + source.randrange(-4, 5) * level,
                space.first ^ 1 << source.randrange(30, 64),
            ]
        else:
            if self.outside:
                pointers += [0x40_0000_0000, _ALL - 15]
            if self.space is not None:
                stream.pages.update(self.space.pages)
                if self.outside and self.space.first > 0x40_0000_0000:  # in M mode they are outside
                    pointers += [self.space.first + source.randrange(512) * 4096 for _ in range(4)]
        code = stream.code.rjust(stream.start + len(stream.code), b"\0").ljust(_CODE_BYTES, b"\0")
        for index in range(2):
            stream.pages[CODE_PAGE + index] = code[4096 * index : 4096 * (index + 1)]
        stream.pages[HANDLER_PAGE] = (e.word(_ECALL) * 16 + e.word(_SRET)).ljust(4096, b"\0")
        stray = b"".join(e.half(source.getrandbits(9) << 7 | 0x0B) for _ in range(2048))
        stream.pages[STRAY_PAGE] = stray
        for index in range(DATA_PAGES):
            stream.pages[DATA_PAGE + index] = source.randbytes(4096)
        stream.pages[0] = self._state(stream, satp, handler, pointers)

    def _state(self, stream: Stream, satp: int, handler: int, pointers: list[int]) -> bytes:
        source = self.source
        words = [0] * RECORD_WORDS
        for register in range(1, 32):
            words[register] = self._integer(pointers)
        for register in e.POINTERS:
            words[register] = self._address(pointers)
        words[e.BUDGET] = 12
        words[e.LANDING] = stream.first + stream.start + len(stream.code) - 8
        for register in range(32):
            words[FLOATS + register] = self._float()
        csrs = {
            "mepc": stream.first + stream.start,
            "mstatus": self.privilege << 11 | self._status_bits() | source.choice((_MPIE, 0)),
            "medeleg": source.choice((0, _DELEGABLE, source.getrandbits(16) & _DELEGABLE)),
            "mideleg": self._delegated(),
            "mie": source.choice((0, 0xAAA, source.getrandbits(12) & 0xAAA)),
            "mip": source.choice((0, 0, self.line & _INTERRUPTS)),
            "satp": satp,
            "stvec": handler | source.getrandbits(1),
            "fcsr": source.getrandbits(8) if source.random() < 0.3 else source.randrange(5) << 5,
            "mcounteren": source.getrandbits(3),
            "scounteren": source.getrandbits(3),
            "sepc": source.getrandbits(64) & ~1,
            "sscratch": source.getrandbits(64),
            "scause": source.getrandbits(4),
            "stval": source.getrandbits(64),
            "mtval": source.getrandbits(64),
            "mcause": source.getrandbits(4),
        }
        for name, value in csrs.items():
            words[CSR_WORDS[name]] = value & _ALL
        return struct.pack(f"<{RECORD_WORDS}Q", *words).ljust(4096, b"\0")

    def _status_bits(self) -> int:
        """Bits of `mstatus` that leave the stream's privilege alone."""
        value = self.source.getrandbits(23) & (_SIE | _SPIE | _SPP | _SUM | _MXR | _TVM | _TW | _TSR)
        return value | self._float_status()

    def _float_status(self) -> int:
        return self.source.choice((_FS, _FS, _FS, *((1 << 13, 2 << 13) if self.clean else ()), 0))

    def _address(self, pointers: list[int]) -> int:
        edge = self.source.choice((0, 8, 0xFF8, 0xFFC, 0xFFE, 0xFFF, self.source.randrange(4096)))
        address = self.source.choice(pointers)
        return ((address & ~0xFFF) + (edge & ~7 if self.source.random() < 0.5 else edge)) & _ALL

    def _integer(self, pointers: list[int]) -> int:
        source = self.source
        kind = source.randrange(6)
        if kind < 2:
            return self._address(pointers)
        if kind == 2:
            return source.choice((0, 1, _ALL, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, _ALL << 31 & _ALL))
        return source.getrandbits(64) >> source.choice((0, 0, 32, 48)) ^ (_ALL if kind == 3 else 0)

    def _float(self) -> int:
        source = self.source
        if source.random() < 0.5:  # single precision, boxed in ones most of the time
            exponent = source.choice((0, 0xFF, source.getrandbits(8), source.randrange(120, 160)))
            fraction = source.choice((0, 1 << 22, 1, source.getrandbits(23)))
            single = source.getrandbits(1) << 31 | exponent << 23 | fraction
            return single | (0xFFFF_FFFF << 32 if source.random() < 0.9 else source.getrandbits(32) << 32)
        exponent = source.choice((0, 0x7FF, source.getrandbits(11), source.randrange(1000, 1100)))
        fraction = source.choice((0, 1 << 51, 1, source.getrandbits(52)))
        return source.getrandbits(1) << 63 | exponent << 52 | fraction

    # The parts.

    def unit(self) -> _Unit:
        """One random unit."""
        source = self.source
        if source.random() < 0.22:
            makers, weights = zip(*self.units, strict=True)
            return source.choices(makers, weights)[0]()
        kinds, weights = zip(*self.kinds, strict=True)
        return _fixed(source.choices(kinds, weights)[0](source))

    def branch(self) -> _Unit:
        source = self.source
        if source.random() < 0.4:
            register, funct3 = 8 + source.randrange(8), source.choice((6, 7))

            def short(distance: int) -> bytes:
                return e.half(
                    funct3 << 13 | (distance >> 8 & 1) << 12 | (distance >> 3 & 3) << 10 | (register - 8) << 7
                    | (distance >> 6 & 3) << 5 | (distance >> 1 & 3) << 3 | (distance >> 5 & 1) << 2 | 1
                )  # fmt: skip

            return _Unit(2, short)
        funct3, rs1, rs2 = source.choice((0, 1, 4, 5, 6, 7)), source.randrange(32), source.randrange(32)
        return _Unit(4, lambda distance: e.b_type(funct3, rs1, rs2, distance))

    def jump(self) -> _Unit:
        rd = e.free(self.source)
        return _Unit(4, lambda distance: e.jal(rd, distance))

    def jump_to_register(self) -> _Unit:
        """auipc and jalr, also into a 2-byte boundary and with bit 0 set."""
        rd, link, odd = e.free(self.source) or 5, e.free(self.source), self.source.getrandbits(1)

        def make(distance: int) -> bytes:
            return e.word(rd << 7 | 0x17) + e.i_type(0x67, link, 0, rd, distance + odd)

        return _Unit(8, make)

    def bad_jump(self) -> _Unit:
        """To what a register holds; execution goes on behind it, or the budget ends the stream."""
        source, register = self.source, 7
        if self.paging:
            address = e.addi(register, source.choice(e.POINTERS), 0)
        else:
            address = e.load_constant(register, page(self.number, STRAY_PAGE) - (1 << 32) + source.randrange(3800))
            address += e.i_type(0x13, register, 1, register, 32) + e.i_type(0x13, register, 5, register, 32)
        return self._spend(address + e.i_type(0x67, e.free(source), 0, register, source.randrange(2)))

    def _spend(self, data: bytes) -> _Unit:
        landing = e.word(e.LANDING << 7 | 0x17) + e.addi(e.LANDING, e.LANDING, 20 + len(data))
        check = e.addi(e.BUDGET, e.BUDGET, -1) + e.b_type(5, e.BUDGET, 0, 8) + e.word(0)
        return _fixed(landing + check + data)

    def set_pointer(self) -> _Unit:
        """A good address into a register that compressed instructions and the stack pointer's reach."""
        source = self.source
        register = source.choice((2, 8, 9, 10, 11, 12, 13, 14, 15))
        return _fixed(e.addi(register, source.choice(e.POINTERS), source.choice((0, 0, 8, source.randrange(-64, 64)))))

    def _write_csr(self, number: int, value: int, kinds: tuple[int, ...] = (1, 2, 3)) -> _Unit:
        register = e.free(self.source) or 6
        old = e.free(self.source)
        return _fixed(e.load_constant(register, value) + e.csr(self.source.choice(kinds), old, number, register))

    def status(self) -> _Unit:
        source = self.source
        value = source.getrandbits(23) & ~(3 << 9) & ~_FS | self._float_status()  # bits 9 and 10 are QEMU's VS
        if self.privilege == Privilege.M and source.random() < 0.7:
            value = value & ~(3 << 11) | source.choice((0, 3)) << 11  # QEMU takes the mode 2 that does not exist
            if source.random() < 0.6:
                value &= ~_MPRV
            return self._write_csr(0x300, value, (2, 3))
        return self._write_csr(0x100, value, (1, 2, 3))

    def interrupts(self) -> _Unit:
        source = self.source
        enabled = source.getrandbits(12) & 0xAAA
        pending = source.choice((0, self.line & _INTERRUPTS, self.line & _INTERRUPTS))
        if self.privilege == Privilege.M and source.random() < 0.7:
            return self._write_csr(0x344, pending) if source.random() < 0.5 else self._write_csr(0x304, enabled)
        return self._write_csr(0x144, pending) if source.random() < 0.5 else self._write_csr(0x104, enabled)

    def delegation(self) -> _Unit:
        source = self.source
        if source.random() < 0.5:
            return self._write_csr(0x302, source.getrandbits(16) & _DELEGABLE)
        return self._write_csr(0x303, self._delegated(), (1,))

    def _delegated(self) -> int:
        """QEMU has bits of H in `mideleg`, even without H."""
        return self.source.choice((_INTERRUPTS, self.source.getrandbits(12) & _INTERRUPTS))

    def address_space(self) -> _Unit:
        """In M mode anything, for MPRV; in S mode the same tables with another ASID, or a mode that does not exist."""
        source = self.source
        rd, other = e.free(source) or 7, 28
        fence = e.word(0x1200_0073)
        if self.privilege == Privilege.M:
            assert self.space is not None
            if self.has_returned:  # in S mode it would unmap the stream
                return self.jump()
            if rd == other:
                rd = 7
            mode = source.choice((0, self.space.satp >> 60, self.space.satp >> 60, 1, 7, 13))
            shift = e.i_type(0x13, other, 1, other, 60)
            root = e.load_constant(rd, self.space.satp & 0xFFFF_FFFF)
            return _fixed(
                e.addi(other, 0, mode) + shift + root + r_or(other, other, rd) + e.csr(1, rd, 0x180, other) + fence
            )
        if not self.paging:
            return _fixed(e.csr(2, rd, 0x180, 0))
        if source.random() < 0.5:
            bits = e.addi(other, 0, source.choice((3, 5, 7))) + e.i_type(0x13, other, 1, other, 60)
        else:
            bits = e.addi(other, 0, source.getrandbits(11)) + e.i_type(0x13, other, 1, other, 44)
        if rd == other:
            rd = 7
        # A mode that does not exist is made by adding to Sv39; what would become another real mode is left out.
        if self.paging != 8:
            bits = e.addi(other, 0, source.getrandbits(11)) + e.i_type(0x13, other, 1, other, 44)
        return _fixed(e.csr(2, rd, 0x180, 0) + bits + r_xor(rd, rd, other) + e.csr(1, other, 0x180, rd) + fence)

    def sret(self) -> _Unit:
        return self._return(0x141, 0x100, _SPP, _SRET)

    def mret(self) -> _Unit:
        return self._return(0x341, 0x300, 3 << 11, _MRET)

    def _return(self, epc: int, status: int, field_mask: int, instruction: int) -> _Unit:
        """Go on behind the return, in a privilege that may be lower; U mode has an alias of the code."""
        self.has_returned = True
        source = self.source
        rd, other = 5, 6
        to = source.choice((0, 1, 3)) << 11 if instruction == _MRET else source.choice((0, _SPP))
        if instruction == _SRET and self.privilege == Privilege.M:
            to = source.choice((0, _SPP))
        alias = (tables.U_CODE - tables.S_CODE) if self.paging and not to else 0
        before = b""
        if self.privilege == Privilege.M:
            before = e.csr(1, 0, 0x180, 0)
            before += e.load_constant(other, _MPRV) + e.csr(3, 0, 0x300, other)  # QEMU 7.2 lets S mode keep it
        head = before + e.load_constant(other, field_mask) + e.csr(3, 0, status, other)
        head += e.load_constant(other, to) + e.csr(2, 0, status, other)
        tail = e.csr(1, 0, epc, rd) + e.word(instruction)
        distance = 8 + len(tail)
        jump = e.word(alias << 12 | rd << 7 | 0x17) + e.addi(rd, rd, distance)
        return self._spend(head + jump + tail)

    def wait(self) -> _Unit:
        """`wfi` with something pending, so that it does not wait."""
        if self.has_returned or self.line != 0x2:
            return self.jump()
        return _fixed(e.csr(7, 0, 0x300, _MIE) + e.csr(6, 0, 0x344, 2) + e.csr(6, 0, 0x304, 2) + e.word(_WFI))

    def software_interrupt(self) -> _Unit:
        """The CLINT's register for it."""
        if self.line != 0x8:
            return self.jump()
        return _fixed(
            e.word(0x0200_0000 | 5 << 7 | 0x37) + e.addi(6, 0, self.source.getrandbits(1)) + e.s_type(0x23, 2, 5, 6, 0)
        )


def r_or(rd: int, rs1: int, rs2: int) -> bytes:
    """or"""
    return e.r_type(0x33, rd, 6, rs1, rs2, 0)


def r_xor(rd: int, rs1: int, rs2: int) -> bytes:
    """xor"""
    return e.r_type(0x33, rd, 4, rs1, rs2, 0)


def _fixed(data: bytes) -> _Unit:
    return _Unit(len(data), lambda _: data)
