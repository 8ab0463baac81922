"""The functions of `emu.engine.floats` for x86-64 (System V ABI): env in rdi, operands in rsi, rdx and rcx.

Of a single-precision operand the lower half of its register counts. `@` before a label stands for the function's name.
"""

from collections.abc import Iterable

from emu.engine.floats.layout import (
    ENGINE,
    EXPECTED,
    FLAGS,
    FRM,
    FS,
    FULL,
    INVALID,
    MARKED,
    MSTATUS,
    NAN,
    OPERATIONS_MADE,
    RESERVED_0,
    RESERVED_1,
    ROUNDING,
    ROUNDINGS,
    SD,
    STATUS,
    TRANSLATOR,
    UPPER,
    Operation,
)


def _load_byte(offset: int) -> str:
    return f"mov rdi, rbx\n lea rsi, [r12+{offset}]\n call r14\n shl eax, {8 * offset}\n or r13d, eax"


# The translator reads sixteen bits of code: the address is in rsi. Where there is no code, the load leaves this
# function for good, before anything is noted; RAM may be read twice.
#
# An instruction that lies across the end of a page has a block of its own: in a block with others, a fault of its upper
# half would come before they have executed. So a block that comes to stand before one is taken for full.
_FETCH = f"""
    mov rax, rsi
    or rax, 1
    cmp rax, [rdi+{EXPECTED}]
    jne @first
    mov qword ptr [rdi+{EXPECTED}], 0
    mov eax, [rdi+{UPPER}]
    ret
@first:
    push rbx
    push r12
    push r13
    push r14
    sub rsp, 8
    mov rbx, rdi
    mov r12, rsi
    mov eax, esi
    and eax, 0xfff
    cmp eax, 0xffc
    ja @end
    call qword ptr [rip+cpu_ldl_code]
    mov r13d, eax
    and eax, 3
    cmp eax, 3
    je @wide
@narrow:
    mov eax, r13d
    and eax, {RESERVED_0[0]}
    cmp eax, {RESERVED_0[1]}
    je @reserved
    mov eax, r13d
    and eax, {RESERVED_1[0]}
    cmp eax, {RESERVED_1[1]}
    je @reserved
    test dword ptr [rbx+{MSTATUS}], {FS}
    jnz @done
    mov eax, r13d
    and eax, 0x6001
    cmp eax, 0x2000
    jne @done
@reserved:
    xor r13d, r13d
    jmp @done
@end:
    mov r14, [rip+cpu_ldub_code]
    xor r13d, r13d
    {_load_byte(0)}
    {_load_byte(1)}
    mov eax, r13d
    and eax, 3
    cmp eax, 3
    jne @narrow
    {_load_byte(2)}
    {_load_byte(3)}
@wide:
    mov ecx, r13d
    and ecx, 0x7f
    cmp ecx, 0x53
    je @floating
    and ecx, 0x73
    cmp ecx, 0x43
    jne @note
@floating:
    mov eax, r13d
    shr eax, 12
    and eax, 7
    cmp eax, 5
    je @illegal
    cmp eax, 6
    je @illegal
    cmp ecx, 0x53
    jne @note
    mov ecx, r13d
    shr ecx, 25
    cmp ecx, 0x10
    je @sign
    cmp ecx, 0x78
    je @move
    cmp ecx, 0x11
    jne @note
    test eax, eax
    jnz @note
    test dword ptr [rbx+{MSTATUS}], {FS}
    jnz @note
@illegal:
    or r13d, 0xffff0000
    jmp @note
@sign:
    cmp eax, 2
    ja @note
    shl eax, 27
    and r13d, 0x1ff8fff
    or r13d, eax
    or r13d, 0x5000
    jmp @note
@move:
    test r13d, 0x1f07000
    jnz @note
    and r13d, 0x1ff8fff
    or r13d, 0xd0005000
@note:
    lea rax, [r12+3]
    mov [rbx+{EXPECTED}], rax
    mov eax, r13d
    shr eax, 16
    mov [rbx+{UPPER}], eax
@done:
    lea rsi, [r12+2]
    mov eax, r13d
    and eax, 3
    cmp eax, 3
    jne @following
    add rsi, 2
@following:
    mov eax, esi
    and eax, 0xfff
    cmp eax, 0xffe
    jne @given
    mov rdi, rbx
    call qword ptr [rip+cpu_ldub_code]
    and eax, 3
    cmp eax, 3
    jne @given
    mov rax, [rbx{ENGINE:+#x}]
    mov rax, [rax+{TRANSLATOR}]
    or dword ptr [rax+{OPERATIONS_MADE}], {FULL}
@given:
    movzx eax, r13w
    add rsp, 8
    pop r14
    pop r13
    pop r12
    pop rbx
    ret
"""

# Each translation begins with this: what an abandoned one has noted is no longer true.
_BEGIN = f"""
    mov qword ptr [rdi+{EXPECTED}], 0
    xor edx, edx
    jmp qword ptr [rip+get_page_addr_code_hostp]
"""

_SET_ROUNDING = f"""
    mov esi, esi
    cmp esi, 5
    je @mark
    cmp esi, 7
    jne @known
    mov rsi, [rdi+{FRM}]
@known:
    cmp rsi, 4
    ja @illegal
    lea ecx, [rsi*8]
    movabs rax, {ROUNDINGS:#x}
    shr rax, cl
    mov [rdi+{ROUNDING}], al
    ret
@mark:
    mov byte ptr [rdi+{ROUNDING}], {MARKED}
    ret
@illegal:
    mov rdx, [rsp]
    mov esi, 2
    jmp qword ptr [rip+riscv_raise_exception]
"""

_CLASSIFY_SINGLE = """
    mov rax, rdi
    sar rax, 32
    mov ecx, 9
    inc rax
    jnz @shift
    mov edx, edi
    and edx, 0x7fffffff
    cmp edx, 0x7f800000
    ja @nan
    mov ecx, 0
    je @signed
    inc ecx
    cmp edx, 0x800000
    jae @signed
    inc ecx
    test edx, edx
    jnz @signed
    inc ecx
@signed:
    test edi, edi
    js @shift
    xor ecx, 7
    jmp @shift
@nan:
    test edi, 0x400000
    jnz @shift
    dec ecx
@shift:
    mov eax, 1
    shl eax, cl
    ret
"""

_BOX = "mov eax, eax\n movabs rcx, 0xffffffff00000000\n or rax, rcx"
_ARGUMENTS = {
    1: "mov rdi, rsi\n mov rsi, r8",
    2: "mov rdi, rsi\n mov rsi, rdx\n mov rdx, r8",
    3: "mov rdi, rsi\n mov rsi, rdx\n mov rdx, rcx\n mov ecx, {negated}",
}
_SIGNS = {
    "fadd_s": "and esi, 0x7fffffff\n and edx, 0x80000000\n or esi, edx",
    "fsub_s": "not edx\n and esi, 0x7fffffff\n and edx, 0x80000000\n or esi, edx",
    "fmul_s": "and edx, 0x80000000\n xor esi, edx",
    "fcvt_s_w": "",
}
"""What marked instructions do in truth: `fsgnj.s`, `fsgnjn.s`, `fsgnjx.s`, `fmv.w.x`."""


def _unboxed(register: str) -> str:
    """A single whose upper half is not all ones is the canonical NaN (section 12.2)."""
    return f"""
        mov rax, r{register}
        sar rax, 32
        mov r10d, {NAN}
        inc rax
        cmovnz e{register}, r10d"""


def _quietened(register: str, *, single: bool) -> str:
    """Make a signalling NaN quiet and raise the invalid flag for it (`fmin` and `fmax`, section 11.6)."""
    least, span, quiet = (0xFF00_0001, (1 << 23) - 1, 1 << 22) if single else (0xFFE0 << 48 | 1, (1 << 52) - 1, 1 << 51)
    name, twice, limit = (f"e{register}", "r8d", "r9d") if single else (f"r{register}", "r8", "r9")
    return f"""
        movabs r9, {least:#x}
        lea r8, [r{register}+r{register}]
        sub {twice}, {limit}
        movabs r9, {span:#x}
        cmp {twice}, {limit}
        jae @quiet_{register}
        movabs r9, {quiet:#x}
        or {name}, {limit}
        or byte ptr [rdi+{FLAGS}], {INVALID}
    @quiet_{register}:"""


def _infinity_times_zero(*, single: bool) -> str:
    """Raise the invalid flag for infinity times zero, which the core forgets beside a quiet NaN (section 11.6)."""
    a, b, infinity = ("r8d", "r9d", "r11d") if single else ("r8", "r9", "r11")
    return f"""
        movabs r11, {0xFF00_0000 if single else 0xFFE0 << 48:#x}
        lea r8, [rcx+rcx]
        cmp {a}, {infinity}
        jbe @valid
        lea r8, [rsi+rsi]
        lea r9, [rdx+rdx]
        test {a}, {a}
        jz @zero
        test {b}, {b}
        jnz @valid
    @zero:
        or {a}, {b}
        cmp {a}, {infinity}
        jne @valid
        or byte ptr [rdi+{FLAGS}], {INVALID}
    @valid:"""


def _function(operation: Operation) -> str:
    registers = ("si", "dx", "cx")[: operation.operands]
    single = operation.takes_singles
    lines = [_unboxed(register) for register in registers] if single else []
    if operation.kind in ("fmin", "fmax"):
        lines += [_quietened(register, single=single) for register in registers]
    if operation.operands == 3:
        lines.append(_infinity_times_zero(single=single))
    sign = _SIGNS.get(operation.name)
    if sign is not None:
        lines.append(f"cmp byte ptr [rdi+{ROUNDING}], {MARKED}\n je @marked")
    arguments = _ARGUMENTS[operation.operands].format(negated=operation.negated)
    call = f"lea r8, [rdi+{STATUS}]\n {arguments}\n call qword ptr [rip+{operation.softfloat}]"
    if operation.gives_integer:  # the others turn FS dirty by themselves
        lines.append(f"""
            push rbx
            push r12
            sub rsp, 8
            mov rbx, rdi
            movzx r12d, byte ptr [rdi+{FLAGS}]
            {call}
            cmp r12b, [rbx+{FLAGS}]
            je @same
            movabs rcx, {SD | FS:#x}
            or [rbx+{MSTATUS}], rcx
        @same:
            {"movsxd rax, eax" if operation.gives_word else ""}
            add rsp, 8
            pop r12
            pop rbx
            ret""")
    else:
        lines.append(f"sub rsp, 8\n {call}\n add rsp, 8\n {_BOX if operation.gives_single else ''}\n ret")
    if sign is not None:
        lines.append(f"@marked:\n {sign}\n mov eax, esi\n {_BOX}\n ret")
    return "\n".join(lines)


def source(operations: Iterable[Operation]) -> str:
    """All functions, each at a label with its name."""
    functions = {
        "cpu_lduw_code": _FETCH,
        "get_page_addr_code": _BEGIN,
        "helper_set_rounding_mode": _SET_ROUNDING,
        "helper_fclass_s": _CLASSIFY_SINGLE,
        **{f"helper_{operation.name}": _function(operation) for operation in operations},
    }
    return "\n".join(f"{name}:\n{body.replace('@', f'{name}_')}" for name, body in functions.items())
