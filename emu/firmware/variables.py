"""Variables of functions, where they lie while the program runs, and what they point to, from an ELF's DWARF."""

from collections.abc import Iterator
from io import BytesIO
from itertools import takewhile
from math import prod
from typing import Any, NamedTuple

from emu.firmware.debugtypes import (
    POINTERS,
    TRANSPARENT,
    bare,
    dimensions,
    name_of,
    number_of,
    origin_of,
    spelling,
    type_of,
)
from emu.firmware.entries import around, children
from emu.firmware.functions import FunctionFinder

_OP_ADDRESS, _OP_FRAME, _OP_REGISTER = 0x03, 0x91, 0x50
"""DW_OP_addr, DW_OP_fbreg and DW_OP_reg0 (DWARF 5, section 7.7.1)."""
_REGISTERS = 32
_CHARACTERS = {"void", "char", "signed char", "unsigned char", "uint8_t", "u8", "uchar"}
_COMPOUND = ("DW_TAG_structure_type", "DW_TAG_union_type", "DW_TAG_class_type")
_CONTAINERS = {"boxed": "Box<{}>", "rc": "Rc<{}>", "sync": "Arc<{}>", "vec": "[{}]", "raw_vec": "[{}]"}
"""Modules of Rust's crate `alloc`, and what they allocate."""


class Pointee(NamedTuple):
    """What a pointer points to, as its source has it."""

    name: str
    size: int
    """Bytes; 0 where nothing is known."""

    @property
    def is_plain(self) -> bool:
        """Whether it may stand for anything: bytes."""
        return self.name in _CHARACTERS


class Living(NamedTuple):
    """A variable, and where it lies: in a register between two addresses, on the stack frame, or at an address."""

    type: Any
    """The DWARF entry of its type."""
    place: int
    """Number of the register, offset to the frame's canonical address, or the address."""
    start: int = 0
    """0 for a register where it lies all the time."""
    end: int = 0


class Scope:
    """The variables that an instruction sees, those of the functions around it that were inlined among them."""

    def __init__(self, entries: list[Any], locations: Any) -> None:
        self.entries = entries
        """Function and inlined calls, the outermost first."""
        self.in_registers: list[Living] = []
        self.on_frame: list[Living] = []
        for entry in entries:
            for variable in _variables(entry):
                kind = type_of(variable)
                if kind is not None and "DW_AT_location" in variable.attributes:
                    self._enter(variable, kind, locations)

    def result(self) -> Any:
        """The DWARF entry of what the function returns; None for `void`."""
        return type_of(self.entries[0])

    def container(self) -> str | None:
        """What code of Rust's crate `alloc` allocates, by its generic parameter: `Box<Task>`."""
        for entry in reversed(self.entries):
            made = origin_of(entry) or entry
            path = [name_of(parent) or "" for parent in _parents(made)]
            if path and path[-1] == "alloc":
                word = next((_CONTAINERS[part] for part in reversed(path) if part in _CONTAINERS), None)
                generic = _parameter(entry) or _parameter(made)
                if word and generic is not None:
                    return word.format(spelling(type_of(generic)).removeprefix("struct "))
        return None

    def _enter(self, variable: Any, kind: Any, locations: Any) -> None:
        from elftools.dwarf.dwarf_expr import DWARFExprParser

        parsed = locations.parse_from_attribute(variable.attributes["DW_AT_location"], variable.cu["version"], variable)
        if not isinstance(parsed, list):
            code = parsed.loc_expr
            if code and code[0] == _OP_FRAME:
                offset = DWARFExprParser(variable.cu.structs).parse_expr(code)[0].args[0]
                self.on_frame.append(Living(kind, offset))
            elif len(code) == 1 and 0 <= code[0] - _OP_REGISTER < _REGISTERS:
                self.in_registers.append(Living(kind, code[0] - _OP_REGISTER, 0, 1 << 64))
            return
        low = variable.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = low.value if low else 0
        for item in parsed:
            if hasattr(item, "base_address"):
                base = item.base_address
            elif hasattr(item, "loc_expr") and len(item.loc_expr) == 1:
                number, start = item.loc_expr[0] - _OP_REGISTER, 0 if item.is_absolute else base
                if 0 <= number < _REGISTERS:
                    self.in_registers.append(Living(kind, number, start + item.begin_offset, start + item.end_offset))


class Variables:
    """Answers from the DWARF of one ELF file; without any, it knows nothing."""

    def __init__(self, data: bytes) -> None:
        """Raises what pyelftools raises for a damaged file."""
        from elftools.dwarf.locationlists import LocationParser
        from elftools.elf.elffile import ELFFile

        elf = ELFFile(BytesIO(data))
        self._finder = FunctionFinder(elf)
        self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False) if elf.has_dwarf_info() else None
        self._locations = LocationParser(self._dwarf.location_lists()) if self._dwarf else None
        self._globals: list[Living] | None = None

    def scope(self, address: int) -> Scope | None:
        """What the instruction at an address sees; None where no function is known."""
        entries = self._finder.scopes(address)
        return Scope(entries, self._locations) if entries else None

    def stored_at(self, address: int) -> Any:
        """The type of what a global variable has at an address: itself, or an element or a member of it."""
        if self._globals is None:
            self._globals = list(self._read_globals())
        for variable in self._globals:
            if 0 <= address - variable.place < max(_size(variable.type), 1):
                return part_at(variable.type, address - variable.place)
        return None

    def _read_globals(self) -> Iterator[Living]:
        for unit in self._dwarf.iter_CUs() if self._dwarf else ():
            for entry in children(unit.get_top_DIE()):
                location, kind = entry.attributes.get("DW_AT_location"), type_of(entry)
                if (
                    entry.tag == "DW_TAG_variable"
                    and location
                    and kind is not None
                    and isinstance(location.value, list)
                ):
                    code = location.value
                    if code and code[0] == _OP_ADDRESS:
                        yield Living(kind, int.from_bytes(bytes(code[1:9]), "little"))


def pointee(entry: Any) -> Pointee | None:
    """What a type points to; None for what is no pointer."""
    pointer = bare(entry)
    if pointer is None or pointer.tag not in POINTERS:
        return None
    target = type_of(pointer)
    plain = bare(target)
    if entry.tag == "DW_TAG_typedef" and plain is not None and plain.tag not in _COMPOUND:
        return Pointee(f"*{name_of(entry)}", _size(target))  # `pagetable_t` says more than what it stands for
    while target is not None and target.tag in TRANSPARENT and target.tag != "DW_TAG_typedef":
        target = type_of(target)
    return Pointee(spelling(target), _size(target))


def target_of(entry: Any) -> Any:
    """The DWARF entry of what a pointer points to; None for what is no pointer."""
    pointer = bare(entry)
    return type_of(pointer) if pointer is not None and pointer.tag in POINTERS else None


def part_at(entry: Any, offset: int) -> Any:
    """The type of what stands at an offset in a type: a member, an element, or all of it."""
    whole = bare(entry)
    if whole is None:
        return None
    if whole.tag == "DW_TAG_array_type":
        element = type_of(whole)
        size = _size(element)
        return part_at(element, offset % size) if size else None
    if whole.tag not in _COMPOUND:
        return entry if offset == 0 else None
    for member in children(whole):
        if member.tag == "DW_TAG_member":
            inside = offset - number_of(member, "DW_AT_data_member_location")
            kind = type_of(member)
            if kind is not None and 0 <= inside < max(_size(kind), 1):
                return part_at(kind, inside)
    return None


def _variables(entry: Any) -> Iterator[Any]:
    """Variables and parameters of a function, those of its blocks among them."""
    for child in children(entry):
        if child.tag in ("DW_TAG_variable", "DW_TAG_formal_parameter"):
            yield child
        elif child.tag == "DW_TAG_lexical_block":
            yield from _variables(child)


def _parameter(entry: Any) -> Any:
    """The generic parameter `T` of a function of Rust; None when it has none."""
    parameters = (child for child in children(entry) if child.tag == "DW_TAG_template_type_param")
    return next((child for child in parameters if name_of(child) == "T"), None)


def _parents(entry: Any) -> Iterator[Any]:
    return takewhile(lambda each: each.tag != "DW_TAG_compile_unit", around(entry))


def _size(entry: Any) -> int:
    kind = bare(entry)
    if kind is None:
        return 0
    if kind.tag == "DW_TAG_array_type":
        return prod(dimensions(kind)) * _size(type_of(kind))
    return 8 if kind.tag in POINTERS else number_of(kind, "DW_AT_byte_size")
