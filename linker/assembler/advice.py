"""What a person would say to somebody who wrote a word that RISC-V does not have."""

import re
from collections.abc import Iterable

from linker.assembler.encoding.csrs import CSRS
from linker.assembler.encoding.registers import FLOAT, INTEGER

_NO_FLAGS = "there are no flags: compare and branch at once, as in 'beq a0, a1, label', or set a register with 'slt'"
_STACK = (
    "the stack is moved by hand: 'addi sp, sp, -16' makes room and 'sd ra, 8(sp)' stores, 'ld ra, 8(sp)' loads again"
)
_CONSTANT = "'addi rd, rs, constant' adds, with a negative constant it subtracts"
_JUMP = "a jump is 'j label', to an address in a register 'jr rs'"
_CALL = "a call is 'call symbol', to an address in a register 'jalr rs'"
_RETURN = "a function returns with 'ret', a trap handler with 'mret' or 'sret'"
_BRANCH = "a branch compares two registers, as 'beq bne blt bge bltu bgeu', or one with zero, as 'beqz bnez bltz bgez'"
_MOVE = "'mv rd, rs' copies a register, 'li rd, constant' loads a constant, 'la rd, symbol' an address"
_MEMORY = "memory is read with 'ld lw lh lb' and written with 'sd sw sh sb', as in 'ld a0, 8(sp)'"
_SHIFT = "shifts are 'sll srl sra' by a register, 'slli srli srai' by a constant"
_SYSTEM = "the environment is called with 'ecall', a debugger with 'ebreak'"
_FENCE = "memory is ordered with 'fence', instruction fetch with 'fence.i', translation with 'sfence.vma'"
_CONTROL = (
    "control registers are read with 'csrr rd, csr' and written with 'csrw csr, rs', their bits with 'csrs' and 'csrc'"
)
_MASK = "interrupts are masked with 'csrci sstatus, 2' and let in with 'csrsi sstatus, 2', in M mode 'mstatus' and 8"
_ADDRESS = "an address is written 'offset(register)', as in 'ld a0, 8(sp)'"
_NO_CONSTANT = "there is no form with a constant: load it with 'li' into a register first"

_ELSEWHERE = {
    "cmp cmpi cmn tst teq test cmpw": _NO_FLAGS,
    "push pop pushq popq stp ldp stm ldm stmfd ldmfd pusha popa enter leave": _STACK,
    "subi subiw inc dec addiu daddiu subu incl decl": _CONSTANT,
    "b bx br jmp bra goto jal.n": _JUMP,
    "bl blx blr jsr bal bsr": _CALL,
    "rts retq retn retf iret iretq eret rfe reti sysret": _RETURN,
    "je jne jz jnz jg jge jl jle ja jae jb jbe b.eq b.ne b.lt b.ge b.gt b.le": _BRANCH,
    "cbz cbnz beqi bnei blti bgei bgti blei branch loop djnz": _BRANCH,
    "mov movi movl movq movz movk movabs movz.w lea leaq adr adrp lui.w load loadi ldi move.l mvi set": _MOVE,
    "ldr ldrb ldrh ldrsw str strb strh lds sts store lq sq ldl ldx stx st lda sta ldw stw lwz": _MEMORY,
    "shl shr sar lsl lsr asr shll sal sllv srlv": _SHIFT,
    "svc swi int int3 syscall trap brk hvc smc bkpt": _SYSTEM,
    "mfence lfence sfence dmb dsb isb sync membar tlbi invlpg": _FENCE,
    "mrs msr mfc0 mtc0 rdmsr wrmsr": _CONTROL,
    "cli sti cpsid cpsie": _MASK,
    "muli mulli divi remi muliw": _NO_CONSTANT,
    "hlt halt wait wfe pause.n": "to wait for an interrupt is 'wfi'",
    "eor eori xorl": "exclusive or is 'xor', with a constant 'xori'",
    "orr orri orl": "or is 'or', with a constant 'ori'",
    "andl bic": "and is 'and', with a constant 'andi'; to clear bits take 'andi' with '~bits'",
    "mvn negl notl rsb": "'not rd, rs' inverts the bits, 'neg rd, rs' the sign",
    "addu daddu addl adc": "'add rd, rs1, rs2' adds 64 bits, 'addw' 32; no instruction traps or sets a carry",
    "xchg swap cmpxchg ldrex strex ldxr stxr lr sc ll": "atomic are 'amoswap.w', and 'lr.w' with 'sc.w', or '.d'",
    "clr clear zero": "a register is cleared with 'li rd, 0'",
    "sext zext": "'sext.w rd, rs' spreads the sign of 32 bits, 'zext.b rd, rs' takes 8 bits",
    "cpuid": "the number of this hart is in 'mhartid', which M mode reads; firmware gives it to S mode in 'a0'",
    "rdtsc rdtscp": "'rdtime rd' reads the time, 'rdcycle rd' the cycles",
    "in out inb outb inw outw": "devices are memory here: 'lw' and 'sw', 'lbu' and 'sb' at their addresses",
}
"""Instructions of other machines, and what RISC-V has instead."""

_BY_WORD = {word: advice for words, advice in _ELSEWHERE.items() for word in words.split()}

_REGISTERS_ELSEWHERE = {
    "lr": "the return address is in 'ra'",
    "pc": "the program counter is no operand: 'auipc rd, 0' reads it",
    "wzr": "the register that is always zero is 'zero'", "xzr": "the register that is always zero is 'zero'",
    "v0": "results are returned in 'a0' and 'a1'", "v1": "results are returned in 'a0' and 'a1'",
    "at": "a register for the moment is 't0'",
    **dict.fromkeys(("rax", "eax", "rbx", "rcx", "rdx", "rsi", "rdi"), "arguments and results are in 'a0'..'a7'"),
    **dict.fromkeys(("rsp", "esp"), "the stack pointer is 'sp'"),
    **dict.fromkeys(("rbp", "ebp"), "the frame pointer is 's0'"),
}  # fmt: skip
_CONDITIONS = ("beq", "bne", "blt", "bge", "bgt", "ble")
_STORES = ("sb", "sh", "sw", "sd", "fsw", "fsd")
_ALONE = {
    "ret": "the result is in 'a0'; 'addi sp, sp, size' gives room of the stack back before 'ret'",
    "nop": "several are '.rept 3', 'nop', '.endr'",
    "ecall": "the number of the call is in 'a7'",
}
_RANGES = {"x": 31, "a": 7, "s": 11, "t": 6, "f": 31, "fa": 7, "fs": 11, "ft": 11}
_TIMERS = ("mtime", "mtimecmp", "msip")
_CSRS_ELSEWHERE = {
    "cr3": "satp",
    "ttbr0_el1": "satp",
    "vbar_el1": "stvec",
    "cpsr": "sstatus",
    "eflags": "sstatus",
    "mstat": "mstatus",
}


def distance(first: str, second: str) -> int:
    """Typing mistakes between two words: letters left out, added, mistaken, or two swapped.

    >>> distance("adi", "addi"), distance("csrw", "crsw"), distance("ld", "sd")
    (1, 1, 1)
    """
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        before, above, row = row, before, [i]
        for j, other in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that somebody may have meant: at most two typing mistakes away, and one where the word is short.

    >>> nearest("mstats", ["mstatus", "sstatus"]), nearest("xyz", ["add"])
    ('mstatus', None)
    """
    word = word.lower()
    most = 1 if len(word) < 5 else 2
    best: tuple[int, bool, int, int] | None = None
    found: str | None = None
    for order, name in enumerate(names):
        if abs(len(name) - len(word)) > most:
            continue
        mistakes = distance(word, name)
        if mistakes <= most:
            key = (mistakes, name[:1] != word[:1], -_common_start(word, name), order)
            if best is None or key < best:
                best, found = key, name
    return found


def _common_start(first: str, second: str) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def for_word(word: str, names: Iterable[str]) -> str:
    """For a word where an instruction or a directive should stand; empty when there is nothing to say."""
    advice = _BY_WORD.get(word.lower())
    if advice is not None:
        return advice
    close = nearest(word, names)
    return f"did you mean {close!r}?" if close else ""


def for_operands(mnemonic: str, operands: list[str]) -> str:
    """For an instruction that exists and its operands, which it does not take; empty when there is nothing to say.

    >>> for_operands("mv", ["a0", "5"])
    "a constant is loaded with 'li rd, constant'"
    """
    last = operands[-1] if operands else ""
    if any(operand.endswith("]") for operand in operands):
        return _ADDRESS
    if operands and mnemonic in _ALONE:
        return _ALONE[mnemonic]
    if mnemonic == "mv" and _is_number(last):
        return "a constant is loaded with 'li rd, constant'"
    if mnemonic == "mv" and last.isidentifier() and not {last.lower()} & {*INTEGER, *FLOAT, *_REGISTERS_ELSEWHERE}:
        return "an address is loaded with 'la rd, symbol'"
    if mnemonic in ("sub", "subw") and _is_number(last):
        return _CONSTANT
    if mnemonic in ("jr", "jalr") and len(operands) == 1 and last.isidentifier():
        return "to a symbol is " + ("'j symbol'" if mnemonic == "jr" else "'call symbol'")
    if mnemonic in ("call", "tail", "j") and last.partition(" ")[0] in ("far", "near", "short", "ptr", "offset"):
        return f"'{mnemonic} symbol' is all; 'call' and 'tail' reach 2 GiB"
    if mnemonic in _STORES and operands and operands[0].endswith(")"):
        return f"the register comes first: '{mnemonic} rs, offset(register)'"
    if mnemonic in _CONDITIONS and len(operands) == 2:
        return f"to compare with zero is '{mnemonic}z rs, label'"
    return ""


def _is_number(text: str) -> bool:
    return text.lstrip("-+~")[:1].isdigit()


def for_register(text: str, allowed: Iterable[str]) -> str:
    """For a text where a register should stand; empty when there is nothing to say."""
    allowed = set(allowed)
    bare = text.lower().lstrip("$%")
    if bare != text and bare in allowed:
        return f"registers are written without '$' and '%', in small letters: {bare!r}"
    if text in FLOAT and text not in allowed and not allowed & FLOAT.keys():
        return "it is a register of floating-point instructions, such as 'fadd.d'; 'fmv.x.d' copies its bits"
    if text in INTEGER and allowed & FLOAT.keys():
        return "it is no floating-point register; 'fmv.d.x' copies bits, 'fcvt.d.l' converts a number"
    if text in INTEGER or text in FLOAT:
        return ""
    if _is_number(text):
        return "a constant is loaded with 'li' into a register first"
    if text in CSRS:
        return _CONTROL
    if bare in _REGISTERS_ELSEWHERE:
        return _REGISTERS_ELSEWHERE[bare]
    match = re.fullmatch(r"([a-z]+)(\d+)", bare)
    if match and match[1] == "r" and int(match[2]) < 32:
        return f"registers are 'x0'..'x31': {'x' + match[2]!r}"
    if match and match[1] in _RANGES and int(match[2]) > _RANGES[match[1]]:
        return f"the last of these is '{match[1]}{_RANGES[match[1]]}'"
    return ""


def for_csr(text: str) -> str:
    """For a text where a CSR should stand; empty when there is nothing to say."""
    word = text.lower()
    if word in CSRS:
        return f"CSRs are written in small letters: {word!r}"
    if word in _TIMERS:
        return f"'{word}' is memory of the CLINT, at 0x2000000 on QEMU's virt; the CSR 'time' is read with 'rdtime'"
    if text in INTEGER:
        return "a register stands where the CSR should; 'csrr rd, csr' reads, 'csrw csr, rs' writes"
    close = _CSRS_ELSEWHERE.get(word) or nearest(word, CSRS)
    return f"did you mean {close!r}?" if close else ""
