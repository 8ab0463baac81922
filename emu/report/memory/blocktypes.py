"""What type a block has: the declared type of what its caller stores the allocator's result in, from the DWARF."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from emu.address import VirtAddr
from emu.isa.registers import INTEGER_REGISTERS
from emu.observe.code import HOST
from emu.report.places import Places

if TYPE_CHECKING:
    from emu.firmware.variables import Pointee, Scope, Variables

_LARGEST = 32 << 20
"""Bytes of a file whose debugging entries are read through."""
_MOST_INSTRUCTIONS = 256
_MOST_BEFORE = 1024
_MOST_CALLERS = 8
_MOST_CHAINS = 1024
"""Of more the types are not looked for: each takes milliseconds."""
_MEMORY = re.compile(r"(\w+), (-?(?:0x)?[0-9a-f]+)\((\w+)\)")
_SAVED = {"sp", "gp", "tp", *(f"s{number}" for number in range(12))}
_STORES = {"sb", "sh", "sw", "sd", "fsw", "fsd", "fence", "fence.i", "sfence.vma", "wfi", "nop"}
_RESULT = "result"
"""Stands for the address of the block."""

Chain = tuple[VirtAddr, ...]


class BlockTypes:
    """Types of blocks by the calls that allocated them, innermost first; each is found once."""

    def __init__(self, places: Places) -> None:
        self.places = places
        """The names of the machine."""
        self._found: dict[Chain, list[Pointee] | str] = {}

    def name(self, chain: Chain, sizes: Iterable[int]) -> str:
        """`struct node`, of blocks of these sizes; empty where nothing is known, or not one thing.

        In C it is what the variable or the member points to that the result is stored in, or what the function returns
        that hands it on; in Rust the parameter of the function of `alloc`: `Box<Task>`.
        """
        if chain not in self._found:
            self._found[chain] = self._find(chain) if self._files and len(self._found) < _MOST_CHAINS else []
        found, known = self._found[chain], [size for size in sizes if size]
        if isinstance(found, str):
            return found
        fitting = {one.name: one for one in found if all(one.size <= size for size in known)}
        better = [one for one in fitting.values() if not one.is_plain] or list(fitting.values())
        if len(better) != 1 or better[0].name == "void":
            return ""
        size, only = better[0].size, set(known)
        count = only.pop() if len(only) == 1 else 0
        return better[0].name + (f"[{count // size}]" if size and count % size == 0 and count > size else "")

    @cached_property
    def _files(self) -> "list[Variables]":
        from emu.firmware.variables import Variables

        found = []
        for _, data in self.places.machine.platform.names.files:
            if data.startswith(b"\x7fELF") and len(data) <= _LARGEST and b".debug_info" in data:
                try:
                    found.append(Variables(data))
                except Exception:  # noqa: BLE001, S112  # as below
                    continue
        return found

    def _find(self, chain: Chain) -> "list[Pointee] | str":
        try:
            return self._of_calls(chain)
        except Exception:  # noqa: BLE001  # damaged DWARF trips the parser anywhere; then nothing is known
            return []

    def _of_calls(self, chain: Chain) -> "list[Pointee] | str":
        plain: list[Pointee] = []
        for number, site in enumerate(chain[: _MOST_CALLERS + 1]):
            code = None if site == HOST else self.places.code(site)
            scope = None if code is None else self.scope(site)
            generic = self._is_generic(chain[number:])
            if code is None or scope is None:
                if generic:
                    continue
                break
            container = scope.container()
            if container:
                return container
            stored, returned = _Following(self, site, site + len(code)).types()
            returned = returned and scope.result() is not None  # what a `void` function leaves in a0 is nobody's
            kinds = [*stored, scope.result()] if returned else stored
            found = [one for kind in kinds if (one := self._pointee(kind)) is not None]
            if any(not one.is_plain for one in found):
                return found
            if number == 0 and "::" not in self.places.function(site):  # Rust's `*mut u8` is only on its way
                plain = found
            if not returned and not generic:
                break
        return plain

    def _is_generic(self, rest: Chain) -> bool:
        """Whether it is Rust's code on the way to the allocator, whose callers tell the type."""
        label = self.places.function(rest[0])
        return label.startswith(("alloc::", "<alloc::", "__rust", "__rg", "__rdl"))

    def scope(self, address: int) -> "Scope | None":
        """The variables that an instruction sees."""
        linked = self.linked(address)
        return next((scope for one in self._files if (scope := one.scope(linked)) is not None), None)

    @staticmethod
    def _pointee(kind: Any) -> "Pointee | None":
        from emu.firmware.variables import pointee

        return None if kind is None else pointee(kind)

    def linked(self, address: int) -> int:
        """The address that code was linked for."""
        return self.places.machine.platform.names.linked(address)

    def stored_at(self, address: int) -> Any:
        """The type of what a global variable has there."""
        return next((kind for one in self._files if (kind := one.stored_at(address)) is not None), None)


class _Following:
    """The result of a call, followed behind it until it is stored or returned, whichever way the code may go.

    A register holds the result, a number, or a pointer of a known type; all else is not known. What registers held
    before the call is known of the straight code that leads to it.
    """

    def __init__(self, types: BlockTypes, site: int, start: int) -> None:
        self._types, self._start = types, start
        self._scope = types.scope(start - 1)
        gp = types.places.machine.hart.x["gp"]
        self._registers: dict[str, Any] = {"gp": gp} if gp else {}
        self._slots: dict[int, Any] = {}
        self._found: list[Any] = []
        self._returned = False
        for pc, text, length in self._straight(site):
            self._step(pc, text, length)

    def types(self) -> tuple[list[Any], bool]:
        """The types that it is stored as, and whether the function returns it."""
        self._registers = {name: value for name, value in self._registers.items() if name in _SAVED} | {"a0": _RESULT}
        waiting, seen = [(self._start, self._registers, self._slots)], set[int]()
        while waiting and len(seen) < _MOST_INSTRUCTIONS:
            pc, self._registers, self._slots = waiting.pop()
            while pc not in seen and len(seen) < _MOST_INSTRUCTIONS:
                seen.add(pc)
                text, length = self._instruction(pc)
                if not text:
                    break
                self._note_registers(pc)
                ways = self._step(pc, text, length)
                if not ways:
                    break
                waiting += [(way, dict(self._registers), dict(self._slots)) for way in ways[1:]]
                pc = ways[0]
        return self._found, self._returned

    def _straight(self, site: int) -> list[tuple[int, str, int]]:
        """The instructions before the call that are executed whenever it is: those behind the last place to jump to."""
        entry = self._scope.entries[0].attributes.get("DW_AT_low_pc") if self._scope else None
        pc = entry.value + site - self._types.linked(site) if entry else site
        found: list[tuple[int, str, int]] = []
        targets = set[int]()
        while pc < site and len(found) < _MOST_BEFORE:
            text, length = self._instruction(pc)
            if not text:
                return []
            found.append((pc, text, length))
            mnemonic, operands = _parts(text)
            if mnemonic.startswith("b") or mnemonic == "j":
                targets.add(pc + int(operands[-1], 0))
                if mnemonic == "j":
                    targets.add(pc + length)
            elif mnemonic in ("jr", "ret"):
                targets.add(pc + length)
            pc += length
        first = max((target for target in targets if target <= site), default=0)
        return [one for one in found if one[0] >= first] if pc == site else []

    def _instruction(self, pc: int) -> tuple[str | None, int]:
        code = self._types.places.code(pc)
        return (None, 0) if code is None else (self._types.places.instruction(pc), len(code))

    def _note_registers(self, pc: int) -> None:
        """A variable that begins to live in a register which holds the result is it."""
        starts = (self._types.linked(pc), 0) if pc == self._start else (self._types.linked(pc),)
        for living in self._scope.in_registers if self._scope else ():
            if living.start in starts and self._registers.get(INTEGER_REGISTERS[living.place]) is _RESULT:
                self._found.append(living.type)

    def _step(self, pc: int, text: str, length: int) -> list[int]:
        """Execute one instruction as far as it is known. Where it may go on; nowhere when that is not known."""
        mnemonic, operands = _parts(text)
        after = pc + length
        if mnemonic == "ret" or (mnemonic, operands) == ("jr", ["ra"]):
            self._returned |= self._registers.get("a0") is _RESULT
            return []
        if mnemonic in ("jr", "ecall", "ebreak", "mret", "sret"):
            return []
        if mnemonic == "j":
            return [pc + int(operands[0], 0)]
        if mnemonic in ("beqz", "bnez") and self._registers.get(operands[0]) is _RESULT:  # no result is no block
            return [after if mnemonic == "beqz" else pc + int(operands[1], 0)]
        if mnemonic.startswith("b"):
            return [after, pc + int(operands[-1], 0)]
        if mnemonic in ("jal", "jalr"):
            self._registers = {name: value for name, value in self._registers.items() if name in _SAVED}
            return [after]
        memory = _MEMORY.fullmatch(", ".join(operands))
        if mnemonic == "sd" and memory:
            self._store(pc, memory[1], int(memory[2], 0), memory[3])
        elif mnemonic not in _STORES:
            value = self._value(pc, mnemonic, operands, memory)
            self._registers.pop(operands[0], None)
            if value is not None:
                self._registers[operands[0]] = value
        return [after]

    def _value(self, pc: int, mnemonic: str, operands: list[str], memory: re.Match[str] | None) -> Any:
        values = self._registers
        if mnemonic == "ld" and memory:
            return self._loaded(pc, int(memory[2], 0), memory[3])
        if mnemonic == "mv":
            return values.get(operands[1])
        if mnemonic in ("auipc", "lui"):
            upper = int(operands[1], 0) << 12
            upper -= (upper & 1 << 31) << 1
            return (pc if mnemonic == "auipc" else 0) + upper
        if mnemonic in ("addi", "add"):
            first, second = operands[-2:] if len(operands) == 3 else operands
            known = values.get(first)
            if mnemonic == "addi":
                return known + int(second, 0) if isinstance(known, int) else None
            # An element of an array: the number that is known is where it begins.
            return next((one for name in (first, second) if isinstance(one := values.get(name), int)), None)
        return None

    def _loaded(self, pc: int, offset: int, base: str) -> Any:
        if base == "s0" and self._slots.get(offset) is not None:
            return self._slots[offset]
        kind = self._stored_type(pc, offset, base)
        return None if kind is None else _Held(kind)

    def _store(self, pc: int, register: str, offset: int, base: str) -> None:
        value = self._registers.get(register)
        if base == "s0" and offset < 0:
            self._slots[offset] = value
        if value is _RESULT:
            kind = self._stored_type(pc, offset, base)
            if kind is not None:
                self._found.append(kind)

    def _stored_type(self, pc: int, offset: int, base: str) -> Any:
        """The type of what lies at an offset from a register."""
        from emu.firmware.variables import part_at, target_of

        known, linked = self._registers.get(base), self._types.linked(pc)
        if isinstance(known, int):
            return self._types.stored_at(known + offset)
        if self._scope is None:
            return None
        if known is _RESULT:
            owners = [part_at(target_of(kind), offset) for kind in self._found]
        elif isinstance(known, _Held):
            owners = [part_at(target_of(known.type), offset)]
        else:
            owners = [
                part_at(target_of(living.type), offset)
                for living in self._scope.in_registers
                if living.start <= linked < living.end and INTEGER_REGISTERS[living.place] == base
            ]
            if not owners and base == "s0":
                owners = [living.type for living in self._scope.on_frame if living.place == offset]
        return owners[0] if len(owners) == 1 else None


class _Held:
    """A pointer of a known type that a register holds."""

    def __init__(self, kind: Any) -> None:
        self.type = kind


def _parts(text: str) -> tuple[str, list[str]]:
    """Name and operands of an instruction; a compressed one by the name that it stands for."""
    mnemonic, _, words = text.partition(" ")
    return mnemonic.removeprefix("c."), [word.strip() for word in words.split(",")]
