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
_NO_CONSTANT = "there is no form with a constant: load it with 'li' into a register first"

_ELSEWHERE = {
    "cmp cmpi cmn tst teq test cmpw": _NO_FLAGS,
    "push pop pushq popq stp ldp stm ldm stmfd ldmfd pusha popa": _STACK,
    "subi subiw inc dec addiu daddiu subu incl decl": _CONSTANT,
    "b bx br jmp bra goto jal.n": _JUMP,
    "bl blx blr jsr bal bsr": _CALL,
    "rts retq iret iretq eret rfe reti sysret": _RETURN,
    "je jne jz jnz jg jge jl jle ja jae jb jbe b.eq b.ne b.lt b.ge b.gt b.le": _BRANCH,
    "cbz cbnz beqi bnei blti bgei bgti blei": _BRANCH,
    "mov movi movl movq movz movk movabs movz.w lea leaq adr adrp lui.w load loadi ldi move.l mvi set": _MOVE,
    "ldr ldrb ldrh ldrsw str strb strh lds sts store lq sq ldl ldx stx st": _MEMORY,
    "shl shr sar lsl lsr asr shll sal sllv srlv": _SHIFT,
    "svc swi int int3 syscall trap brk hvc smc bkpt": _SYSTEM,
    "mfence lfence sfence dmb dsb isb sync membar tlbi invlpg": _FENCE,
    "mrs msr mfc0 mtc0 rdmsr wrmsr cli sti": _CONTROL,
    "muli mulli divi remi muliw": _NO_CONSTANT,
    "hlt halt wait wfe pause.n": "to wait for an interrupt is 'wfi'",
    "eor eori xorl": "exclusive or is 'xor', with a constant 'xori'",
    "orr orri orl": "or is 'or', with a constant 'ori'",
    "andl bic": "and is 'and', with a constant 'andi'; to clear bits take 'andi' with '~bits'",
    "mvn negl notl rsb": "'not rd, rs' inverts the bits, 'neg rd, rs' the sign",
    "addu daddu addl adc": "'add rd, rs1, rs2' adds 64 bits, 'addw' 32; no instruction traps or sets a carry",
    "xchg swap cmpxchg ldrex strex ldxr stxr": "atomic are 'amoswap.d', and 'lr.d' with 'sc.d'",
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
_RANGES = {"x": 31, "a": 7, "s": 11, "t": 6, "f": 31, "fa": 7, "fs": 11, "ft": 11}
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


def for_register(text: str, allowed: Iterable[str]) -> str:
    """For a text where a register should stand; empty when there is nothing to say."""
    allowed = set(allowed)
    bare = text.lower().lstrip("$%")
    if bare != text and bare in allowed:
        return f"registers are written without '$' and '%', in small letters: {bare!r}"
    if text in INTEGER or text in FLOAT:
        return ""
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
    if text in INTEGER:
        return "a register stands where the CSR should; 'csrr rd, csr' reads, 'csrw csr, rs' writes"
    close = _CSRS_ELSEWHERE.get(word) or nearest(word, CSRS)
    return f"did you mean {close!r}?" if close else ""
