"""`.cfi_*`: how a function's frame lies, from place to place (GNU as manual, "CFI directives")."""

from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import fields
from linker.assembler.encoding.csrs import CSRS
from linker.assembler.encoding.registers import FLOAT, INTEGER
from linker.assembler.frames import DATA_ALIGNMENT, Pointer, Procedure, Rule, Step
from linker.assembler.instructions import split_operands
from linker.objects import leb128

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_NO_POINTER = 0xFF
"""DW_EH_PE_omit."""

_REGISTERS = INTEGER | {name: 32 + number for name, number in FLOAT.items()}
"""DWARF register numbers (psABI, "DWARF Register Numbers"); CSRs follow from 4096 on."""


def _start(assembly: "Assembly", text: str) -> None:
    frames = assembly.frames
    if assembly.position in frames.open:
        raise StatementError("the procedure before has no '.cfi_endproc'", text)
    if text not in ("", "simple"):
        raise StatementError(
            f"{text!r} does not fit here", text, "expected '.cfi_startproc' or '.cfi_startproc simple'"
        )
    procedure = Procedure(assembly.place_here(), assembly.mark, frames.sections, place=assembly.run_position)
    frames.procedures.append(procedure)
    frames.open[assembly.position] = procedure
    if not text:
        procedure.rules.append(Rule(b"\x0d\x02"))  # the frame's address is in sp


def _end(assembly: "Assembly", text: str) -> None:  # noqa: ARG001
    procedure = _current(assembly)
    procedure.end = assembly.place_here()
    del assembly.frames.open[assembly.position]


def _current(assembly: "Assembly") -> Procedure:
    procedure = assembly.frames.open.get(assembly.position)
    if procedure is None:
        raise StatementError("this belongs between '.cfi_startproc' and '.cfi_endproc'")
    return procedure


def _here(assembly: "Assembly") -> Procedure:
    """The current procedure, with a step to the current place."""
    procedure = _current(assembly)
    position = assembly.run_position
    if position != procedure.place:
        place = assembly.place_here()
        known = position[:2] == procedure.place[:2]
        procedure.rules.append(
            Step(procedure.last or procedure.start, place, position[2] - procedure.place[2] if known else None)
        )
        procedure.place, procedure.last = position, place
    return procedure


def _register(assembly: "Assembly", text: str) -> int:
    number = _REGISTERS.get(text)
    if number is not None:
        return number
    return 4096 + CSRS[text] if text in CSRS else assembly.absolute(text)


def _number(value: int) -> bytes:
    return leb128.written(value, signed=False)


def _factored(code: int, code_signed: int, register: bytes, offset: int) -> bytes:
    """An offset in units of the data alignment, by the signed form where it is negative."""
    factored = _units(offset)
    if factored < 0:
        return bytes([code_signed]) + register + leb128.written(factored, signed=True)
    return bytes([code]) + register + _number(factored)


def _units(offset: int) -> int:
    """An offset in units of the data alignment."""
    if offset % DATA_ALIGNMENT:
        raise StatementError(
            f"a register is saved at a multiple of {abs(DATA_ALIGNMENT)} bytes from the CFA, not at {offset}",
            "",
            "the CFA of '.cfi_def_cfa' or its offset is odd, or the register's offset",
        )
    return offset // DATA_ALIGNMENT


def _saved(register: int, offset: int) -> Rule:
    if register < 0x40 and offset / DATA_ALIGNMENT >= 0:
        return Rule(bytes([0x80 | register]) + _number(_units(offset)))
    return Rule(_factored(0x05, 0x11, _number(register), offset))


def _offset_rule(offset: int) -> Rule:
    if offset < 0:
        return Rule(b"\x13" + leb128.written(int(offset / DATA_ALIGNMENT), signed=True))
    return Rule(b"\x0e" + _number(offset))


def _def_cfa(assembly: "Assembly", text: str) -> None:
    register_text, offset_text = fields(text, 2, 2, ".cfi_def_cfa register, offset")
    register, offset = _register(assembly, register_text), assembly.absolute(offset_text)
    procedure = _here(assembly)
    procedure.offset = offset
    if offset < 0:
        factored = leb128.written(int(offset / DATA_ALIGNMENT), signed=True)
        procedure.rules.append(Rule(b"\x12" + _number(register) + factored))
    else:
        procedure.rules.append(Rule(b"\x0c" + _number(register) + _number(offset)))


def _def_cfa_offset(assembly: "Assembly", text: str) -> None:
    offset = assembly.absolute(text)
    procedure = _here(assembly)
    procedure.offset = offset
    procedure.rules.append(_offset_rule(offset))


def _adjust_cfa_offset(assembly: "Assembly", text: str) -> None:
    change = assembly.absolute(text)
    procedure = _here(assembly)
    procedure.offset += change
    procedure.rules.append(_offset_rule(procedure.offset))


def _offset(assembly: "Assembly", text: str) -> None:
    register, offset = fields(text, 2, 2, ".cfi_offset register, offset")
    rule = _saved(_register(assembly, register), assembly.absolute(offset))
    _here(assembly).rules.append(rule)


def _rel_offset(assembly: "Assembly", text: str) -> None:
    register, offset = fields(text, 2, 2, ".cfi_rel_offset register, offset")
    number, distance = _register(assembly, register), assembly.absolute(offset)
    procedure = _here(assembly)
    procedure.rules.append(_saved(number, distance - procedure.offset))


def _val_offset(assembly: "Assembly", text: str) -> None:
    register, offset = fields(text, 2, 2, ".cfi_val_offset register, offset")
    code = _factored(0x14, 0x15, _number(_register(assembly, register)), assembly.absolute(offset))
    _here(assembly).rules.append(Rule(code))


def _move(assembly: "Assembly", text: str) -> None:
    first, second = fields(text, 2, 2, ".cfi_register register, register")
    code = b"\x09" + _number(_register(assembly, first)) + _number(_register(assembly, second))
    _here(assembly).rules.append(Rule(code))


def _of_registers(code: int) -> Directive:
    def emit(assembly: "Assembly", text: str) -> None:
        numbers = [_register(assembly, part) for part in split_operands(text)]
        if not numbers:
            raise StatementError("a register is missing", text)
        procedure = _here(assembly)
        for number in numbers:
            short = code == 0x06 and number < 0x40
            procedure.rules.append(Rule(bytes([0xC0 | number]) if short else bytes([code]) + _number(number)))

    return emit


def _def_cfa_register(assembly: "Assembly", text: str) -> None:
    number = _register(assembly, text)
    _here(assembly).rules.append(Rule(b"\x0d" + _number(number)))


def _remember(assembly: "Assembly", text: str) -> None:  # noqa: ARG001
    procedure = _here(assembly)
    procedure.remembered.append(procedure.offset)
    procedure.rules.append(Rule(b"\x0a", shared=False))


def _restore_state(assembly: "Assembly", text: str) -> None:
    procedure = _here(assembly)
    if not procedure.remembered:
        raise StatementError("'.cfi_restore_state' without '.cfi_remember_state' before it", text)
    procedure.offset = procedure.remembered.pop()
    procedure.rules.append(Rule(b"\x0b"))


def _window_save(assembly: "Assembly", text: str) -> None:  # noqa: ARG001
    _here(assembly).rules.append(Rule(b"\x2d", shared=False))


def _escape(assembly: "Assembly", text: str) -> None:
    data = bytes(assembly.absolute(part) & 0xFF for part in split_operands(text))
    _here(assembly).rules.append(Rule(data, shared=False))


def _return_column(assembly: "Assembly", text: str) -> None:
    number = _register(assembly, text)
    _here(assembly).return_column = number


def _signal_frame(assembly: "Assembly", text: str) -> None:  # noqa: ARG001
    _here(assembly).signal_frame = True


def _pointer(assembly: "Assembly", text: str) -> Pointer | None:
    encoding_text, target = fields(text, 1, 2, "encoding[, symbol]")
    encoding = assembly.absolute(encoding_text)
    if encoding == _NO_POINTER:
        return None
    if (
        not 0 <= encoding < 0xFF
        or encoding & 0xF not in (0, 2, 3, 4, 0xA, 0xB, 0xC)
        or encoding & 0x70 not in (0, 0x10)
    ):
        raise StatementError(f"{encoding:#x} is not an encoding of pointers that is known here", encoding_text)
    if not target:
        raise StatementError("the symbol is missing", text, "expected 'encoding, symbol'")
    return Pointer(encoding, assembly.value(target))


def _personality(assembly: "Assembly", text: str) -> None:
    _current(assembly).personality = _pointer(assembly, text)


def _lsda(assembly: "Assembly", text: str) -> None:
    _current(assembly).data = _pointer(assembly, text)


def _sections(assembly: "Assembly", text: str) -> None:
    names = [name.strip('"') for name in split_operands(text)]
    for name in names:
        if name not in (".eh_frame", ".debug_frame"):
            raise StatementError(f"{name!r} is not a section for unwind tables", name, "known: .eh_frame, .debug_frame")
    frames = assembly.frames
    if ".eh_frame" in names and frames.procedures and ".eh_frame" not in frames.wanted:
        raise StatementError("the procedures before have no '.eh_frame'", text, "name it before the first procedure")
    frames.sections = frozenset(names)


DIRECTIVES: dict[str, Directive] = {
    f".cfi_{name}": directive
    for name, directive in {
        "startproc": _start, "endproc": _end, "sections": _sections, "personality": _personality, "lsda": _lsda,
        "def_cfa": _def_cfa, "def_cfa_register": _def_cfa_register, "def_cfa_offset": _def_cfa_offset,
        "adjust_cfa_offset": _adjust_cfa_offset, "offset": _offset, "rel_offset": _rel_offset,
        "val_offset": _val_offset, "register": _move, "restore": _of_registers(0x06),
        "undefined": _of_registers(0x07), "same_value": _of_registers(0x08),
        "remember_state": _remember, "restore_state": _restore_state, "window_save": _window_save,
        "negate_ra_state": _window_save, "escape": _escape, "return_column": _return_column,
        "signal_frame": _signal_frame,
    }.items()
}  # fmt: skip
