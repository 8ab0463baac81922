"""Signatures of functions and C types, from the DWARF of an ELF (DWARF 5, chapters 3.3 and 5)."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from emu.counted import counted
from emu.errors import ConfigError
from emu.firmware.compounds import GuestStructure, GuestUnion
from emu.firmware.ctype import FLOATS, INTEGERS, CType, Parameter, Signature, in_memory, pointer_to
from emu.firmware.entries import children

_BOOLEAN, _FLOAT, _SIGNED, _SIGNED_CHAR, _UNSIGNED, _UNSIGNED_CHAR, _UTF = 2, 4, 5, 6, 7, 8, 16
"""Encodings of base types (DWARF 5, section 7.8)."""
TRANSPARENT = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type",
                "DW_TAG_atomic_type")  # fmt: skip
POINTERS = ("DW_TAG_pointer_type", "DW_TAG_reference_type", "DW_TAG_rvalue_reference_type")
_COMPOUND = {"DW_TAG_structure_type": GuestStructure, "DW_TAG_union_type": GuestUnion,
             "DW_TAG_class_type": GuestStructure}  # fmt: skip
_WORDS = {"DW_TAG_structure_type": "struct ", "DW_TAG_union_type": "union ", "DW_TAG_enumeration_type": "enum "}
_QUALIFIERS = {"DW_TAG_const_type": "const ", "DW_TAG_volatile_type": "volatile "}

T = TypeVar("T")


class DebugTypes:
    """What one ELF knows of C: functions by name, and types by name."""

    def __init__(self, elf: Any) -> None:  # pyelftools has no types
        self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False) if elf.has_dwarf_info() else None
        self._types: dict[int, CType | None] = {}
        self._index: dict[tuple[str, str], Any] | None = None

    def signature(self, name: str) -> Signature | None:
        """The signature of a function; None when there is nothing about it.

        Raises ConfigError for a type that no call can carry.
        """
        return self._read(lambda: self._signature(name))

    def type_named(self, name: str) -> CType | None:
        """A type by a typedef's name, or by `struct NAME`, `union NAME` or `enum NAME`; None when it is not there."""
        return self._read(lambda: self._type_named(name))

    @staticmethod
    def _read(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001  # damaged DWARF trips the parser anywhere; a prototype can be said instead
            return None

    def _signature(self, name: str) -> Signature | None:
        entry = self._find("DW_TAG_subprogram", name)
        if entry is None:
            return None
        parameters, variadic = list[Parameter](), False
        for child in children(entry):
            if child.tag == "DW_TAG_formal_parameter":
                child_name = name_of(child) or name_of(origin_of(child)) or ""
                kind = self._type(type_of(child))
                if kind is None:
                    raise ConfigError(f"{name}: parameter {child_name} has no type in the debug information")
                parameters.append(Parameter(child_name, kind, spelling(type_of(child))))
            elif child.tag == "DW_TAG_unspecified_parameters":
                variadic = True
        return Signature(name, self._type(type_of(entry)), tuple(parameters), variadic)

    def _type_named(self, name: str) -> CType | None:
        word, _, tag = name.rpartition(" ")
        tags = [each for each, spelled in _WORDS.items() if spelled.strip() == word] if word else ["DW_TAG_typedef"]
        entry = next((found for each in tags if (found := self._find(each, tag)) is not None), None)
        return None if entry is None else self._type(entry)

    def _find(self, tag: str, name: str) -> Any:
        if self._index is None:
            index: dict[tuple[str, str], Any] = {}
            self._index = index
            for entry in self._entries():
                key = (entry.tag, name_of(entry) or name_of(origin_of(entry)) or "")
                if key not in index or _is_better(entry, index[key]):
                    index[key] = entry
        return self._index.get((tag, name))

    def _entries(self) -> Iterator[Any]:
        wanted = ("DW_TAG_subprogram", "DW_TAG_typedef", *_WORDS)
        for unit in self._dwarf.iter_CUs() if self._dwarf else ():
            yield from (entry for entry in children(unit.get_top_DIE()) if entry.tag in wanted)

    def _type(self, entry: Any) -> CType | None:
        entry = bare(entry)
        if entry is None:
            return None
        if entry.offset not in self._types:
            self._types[entry.offset] = self._make(entry)
        return self._types[entry.offset]

    def _make(self, entry: Any) -> CType | None:
        if entry.tag == "DW_TAG_base_type":
            return _base_type(entry)
        if entry.tag == "DW_TAG_enumeration_type":
            underlying = self._type(type_of(entry))
            return underlying or INTEGERS[number_of(entry, "DW_AT_byte_size"), False]
        if entry.tag in POINTERS:
            pointed = type_of(entry)
            try:
                target = self._type(pointed)
            except ConfigError:  # a pointer can be passed whatever it points to
                target = None
            return pointer_to(target, is_const=pointed is not None and pointed.tag == "DW_TAG_const_type")
        if entry.tag in _COMPOUND:
            return self._compound(entry)
        if entry.tag == "DW_TAG_array_type":
            return self._array(entry)
        if entry.tag == "DW_TAG_subroutine_type":
            return None  # only ever pointed to
        raise ConfigError(f"the debug information has {entry.tag}, which no C prototype has")

    def _compound(self, entry: Any) -> CType:
        made: CType = type(name_of(entry) or "unnamed", (_COMPOUND[entry.tag],), {})
        self._types[entry.offset] = made  # a pointer in it may lead back to it
        fields, size, packed = list[tuple[Any, ...]](), number_of(entry, "DW_AT_byte_size"), False
        for number, member in enumerate(child for child in children(entry) if child.tag == "DW_TAG_member"):
            kind = in_memory(self._type(type_of(member)))
            bits = number_of(member, "DW_AT_bit_size")
            name = name_of(member) or f"_{number}"
            fields.append((name, kind, bits) if bits else (name, kind))
            offset = number_of(member, "DW_AT_data_member_location")
            packed |= not bits and offset % ctypes.alignment(kind) != 0
        if packed:
            made._pack_ = 1
            made._layout_ = "ms"  # as newer Pythons want it said
        made._fields_ = fields
        if ctypes.sizeof(made) != size and entry.tag != "DW_TAG_union_type" and size:
            raise ConfigError(
                f"struct {made.__name__} is laid out in {counted(size, 'byte')} in a way that no call can carry"
            )
        return made

    def _array(self, entry: Any) -> CType:
        kind = in_memory(self._type(type_of(entry)))
        for count in reversed(dimensions(entry)):
            kind = kind * count
        return kind


def _base_type(entry: Any) -> CType:
    size, encoding = number_of(entry, "DW_AT_byte_size"), number_of(entry, "DW_AT_encoding")
    if encoding == _BOOLEAN and size == 1:
        return ctypes.c_bool
    if encoding == _FLOAT and size in FLOATS:
        return FLOATS[size]
    signed = encoding in (_SIGNED, _SIGNED_CHAR)
    if (signed or encoding in (_UNSIGNED, _UNSIGNED_CHAR, _UTF)) and (size, signed) in INTEGERS:
        return INTEGERS[size, signed]
    raise ConfigError(
        f"{name_of(entry)} ({counted(size, 'byte')}) cannot be passed from Python; call a function of C that takes less"
    )


def _is_better(entry: Any, old: Any) -> bool:
    """A definition is better than a declaration."""
    return "DW_AT_declaration" in old.attributes and "DW_AT_declaration" not in entry.attributes


def origin_of(entry: Any) -> Any:
    """What an entry stands for: the abstract or the declared one; None when it stands for itself."""
    for attribute in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if attribute in entry.attributes:
            return entry.get_DIE_from_attribute(attribute)
    return None


def type_of(entry: Any) -> Any:
    """The entry of its type; None for `void`."""
    if entry is None:
        return None
    if "DW_AT_type" in entry.attributes:
        return entry.get_DIE_from_attribute("DW_AT_type")
    return type_of(origin_of(entry))


def bare(entry: Any) -> Any:
    """A type without its qualifiers and the names that it has been given; None for `void`."""
    while entry is not None and entry.tag in TRANSPARENT:
        entry = type_of(entry)
    return entry


def dimensions(entry: Any) -> list[int]:
    """How many elements an array has in each of its dimensions; 0 where that is not said."""
    parts = [child for child in children(entry) if child.tag == "DW_TAG_subrange_type"]
    return [
        number_of(part, "DW_AT_upper_bound") + 1 if "DW_AT_upper_bound" in part.attributes
        else number_of(part, "DW_AT_count")
        for part in parts
    ]  # fmt: skip


def name_of(entry: Any) -> str | None:
    """Its own name."""
    if entry is None or "DW_AT_name" not in entry.attributes:
        return None
    value: bytes = entry.attributes["DW_AT_name"].value
    return value.decode("utf-8", "replace")


def number_of(entry: Any, attribute: str) -> int:
    """An attribute that is a number; 0 without it."""
    found = entry.attributes.get(attribute)
    return found.value if found is not None and isinstance(found.value, int) else 0


def spelling(entry: Any) -> str:
    """A type in the words of C."""
    if entry is None:
        return "void"
    if entry.tag in POINTERS:
        return f"{spelling(type_of(entry))} *"
    if entry.tag in _QUALIFIERS:
        return f"{_QUALIFIERS[entry.tag]}{spelling(type_of(entry))}"
    return f"{_WORDS.get(entry.tag, '')}{name_of(entry) or 'unnamed'}"
