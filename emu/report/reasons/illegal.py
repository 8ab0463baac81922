"""What an illegal instruction was: a CSR of another mode, an extension that this core lacks, no instruction at all."""

from emu.isa.absent import absent_csr, absent_instruction
from emu.isa.csrs import HPM_COUNTERS, Csr
from emu.isa.encodings import (
    FUSED,
    LOAD_FP,
    MRET,
    OP_FP,
    OPCODE,
    SFENCE_VMA,
    SFENCE_VMA_MASK,
    SRET,
    STORE_FP,
    SYSTEM,
    WFI,
)  # fmt: skip
from emu.isa.privilege import Privilege
from emu.isa.status import Status
from emu.machine import Machine
from emu.report.disassembly import disassemble

_UNIMP = 0xC0001073
_ONES = (0xFFFF, 0xFFFFFFFF)
_ROUNDED = frozenset({*FUSED, OP_FP})
_FLOAT_OPCODES = _ROUNDED | {LOAD_FP, STORE_FP}
_COMPRESSED_FLOATS = frozenset({(0, 1), (0, 5), (2, 1), (2, 5)})
"""Quadrant and funct3 of c.fld, c.fsd, c.fldsp and c.fsdsp."""
_FLOAT_CSRS = (Csr.FFLAGS, Csr.FRM, Csr.FCSR)
_COUNTERS = {int(Csr.CYCLE): "CY", int(Csr.TIME): "TM", int(Csr.INSTRET): "IR"} | {
    number: f"HPM{number - 0xC00}" for number in HPM_COUNTERS
}
_FLOAT_OFF = "F is off: mstatus.FS is 0; set FS in mstatus or sstatus (1 << 13) before the first such instruction"
_FOR_S = {
    "mhartid": "S mode gets the hart's id in a0 when it is entered",
    **{f"m{rest}": f"S mode has s{rest}" for rest in ("status", "tvec", "epc", "cause", "tval", "scratch", "ie", "ip")},
    "mcycle": "S mode has cycle",
    "minstret": "S mode has instret",
}
_MODES = ("U", "S", "HS", "M")


def illegal_reason(machine: Machine, instruction: int, privilege: Privilege) -> str:
    """What an instruction is, and why it is illegal in a mode. `instruction` is 16 bits of a compressed one, or 32."""
    text = disassemble(instruction.to_bytes(4, "little"), 0)
    if instruction & 0xFFFF == 0:
        return "not an instruction: zeros, as where nothing was loaded, or `unimp`"
    if instruction in _ONES:
        return "not an instruction: all ones, as in erased or missing memory"
    if instruction == _UNIMP:
        return "`unimp`, which compilers put where execution must never come, and which aborts"
    if instruction & OPCODE == SYSTEM and instruction >> 12 & 3:
        return _csr_reason(machine, instruction, privilege, text)
    if instruction in (MRET, SRET, WFI) or instruction & SFENCE_VMA_MASK == SFENCE_VMA:
        return _privileged_reason(machine, instruction, privilege)
    absent = absent_instruction(instruction)
    if absent is not None:
        name, extension = absent
        what = name if " " in name else f"`{name}`"
        return f"{what} belongs to {extension}, which this core lacks: {_advice(extension)}"
    if _is_float(instruction):
        return _float_reason(machine, instruction, text)
    if text is None:
        return f"not an instruction that this core knows: {_bits(instruction)}"
    return f"`{text}` is illegal here ({_bits(instruction)})"


def _bits(instruction: int) -> str:
    return f"{instruction:#010x}" if instruction & 3 == 3 else f"{instruction:#06x}"


def _advice(extension: str) -> str:
    return "it has RV64GC; build with -march=rv64gc" if extension not in ("H", "Svinval") else "it has M, S and U mode"


def _csr_reason(machine: Machine, instruction: int, privilege: Privilege, text: str | None) -> str:
    number, kind, source = instruction >> 20, instruction >> 12 & 3, instruction >> 15 & 31
    writes = kind == 1 or source != 0
    name, extension = _csr_name(number)
    verb = "writes" if writes else "reads"
    what = f"`{_with_name(text, number, name)}` {verb}"
    least = number >> 8 & 3
    if extension is not None:
        return f"{what} the CSR {name}, which belongs to {extension}, and this core lacks that"
    if name is None:
        return f"{what} CSR {number:#x}, and there is no such CSR"
    if privilege < least:
        hint = _FOR_S.get(name) if privilege is Privilege.S else None
        advice = f"; {hint}" if hint else ""
        return f"{what} a CSR of {_MODES[least]} mode in {privilege.name} mode{advice}"
    if writes and number >> 10 == 3:
        return f"{what} {name}, which can only be read; csrr reads it"
    return f"{what} {name}: {_gate(machine, number, privilege) or 'it may not be accessed now'}"


def _csr_name(number: int) -> tuple[str | None, str | None]:
    """The name of a CSR and, when this core lacks it, the extension that has it."""
    if number in HPM_COUNTERS:
        return f"hpmcounter{number - 0xC00}", None
    try:
        return Csr(number).label, None
    except ValueError:
        return absent_csr(number) or (None, None)


def _with_name(text: str | None, number: int, name: str | None) -> str:
    """The disassembly with the CSR's name where the disassembler has its number only."""
    if text is None or name is None:
        return text or f"csr {number:#x}"
    words = text.split(" ", 1)
    operands = [name if operand == str(number) else operand for operand in words[-1].split(", ")]
    return f"{words[0]} {', '.join(operands)}"


def _gate(machine: Machine, number: int, privilege: Privilege) -> str | None:
    """Which bit of which CSR takes a CSR away."""
    csr = machine.hart.csr
    if number in _FLOAT_CSRS:
        return _FLOAT_OFF
    if number in _COUNTERS:
        bit = 1 << number - int(Csr.CYCLE)
        for register, applies in (("mcounteren", privilege < Privilege.M), ("scounteren", privilege < Privilege.S)):
            if applies and not csr[register] & bit:
                return f"{register}.{_COUNTERS[number]} is 0, so {privilege.name} mode may not read it"
    if number == Csr.STIMECMP and privilege < Privilege.M:
        return "menvcfg.STCE and mcounteren.TM must both be 1 for it"
    if number == Csr.SATP and csr["mstatus"] & Status.TVM:
        return "mstatus.TVM is 1, so only M mode may access it"
    return None


def _privileged_reason(machine: Machine, instruction: int, privilege: Privilege) -> str:
    status = machine.hart.csr["mstatus"]
    mode = privilege.name
    if instruction == MRET:
        advice = "; S mode returns by sret" if privilege is Privilege.S else ""
        return f"`mret` is an instruction of M mode, and this is {mode} mode{advice}"
    name, least, bit, bit_name = {
        SRET: ("sret", Privilege.S, Status.TSR, "TSR"),
        WFI: ("wfi", Privilege.S, Status.TW, "TW"),
    }.get(instruction, ("sfence.vma", Privilege.S, Status.TVM, "TVM"))
    if privilege < least:
        return f"`{name}` is an instruction of S mode, and this is {mode} mode"
    if status & bit:
        return f"`{name}`: mstatus.{bit_name} is 1, so only M mode may execute it"
    return f"`{name}` is illegal here"


def _is_float(instruction: int) -> bool:
    if instruction & 3 == 3:
        return instruction & OPCODE in _FLOAT_OPCODES
    return (instruction & 3, instruction >> 13 & 7) in _COMPRESSED_FLOATS


def _float_reason(machine: Machine, instruction: int, text: str | None) -> str:
    what = f"`{text}`: " if text else ""
    if not machine.hart.csr["mstatus"] & Status.FS:
        return f"{what}{_FLOAT_OFF}"
    rounding = instruction >> 12 & 7
    if instruction & OPCODE in _ROUNDED and rounding in (5, 6):
        return f"{what}rounding mode {rounding} is reserved"
    if instruction & OPCODE in _ROUNDED and rounding == 7 and (dynamic := machine.hart.csr["frm"]) > 4:
        return f"{what}it rounds as frm says, and frm is {dynamic}, which is reserved"
    return f"{what}no floating-point instruction that this core knows ({_bits(instruction)})"
