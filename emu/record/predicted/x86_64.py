"""Records are packed and unpacked for x86-64 (System V ABI); see `emu.record.predicted.layout`."""

from emu.engine.registers import RESTORE, SAVE
from emu.record.predicted.layout import (
    ENTRY,
    FIRST_OF_ENTRY,
    MULTIPLIER,
    ONE_VALUE,
    SECOND_OF_ENTRY,
    STEP,
    TABLE_BITS,
    TIME_OF_ENTRY,
    Shared,
)


def _at(word: Shared) -> str:
    return f"[rdi+{8 * word}]"


# rsi: the record; r8: table; r9: lengths; r10: values; r11: rest; rbx: key; rbp: time; r12: entry; r14: multiplier;
# r15: width.
_BEGIN = f"""
    {SAVE}
    mov r8, {_at(Shared.TABLE)}
    mov rbx, {_at(Shared.KEY)}
    mov rbp, {_at(Shared.TIME)}
    mov r15, {_at(Shared.WIDTH)}
    mov rsi, {_at(Shared.RECORDS)}
    mov r9, {_at(Shared.LENGTHS)}
    mov r10, {_at(Shared.VALUES)}
    mov r11, {_at(Shared.REST)}
    mov r14, {MULTIPLIER:#x}
record:
    cmp rsi, {_at(Shared.RECORDS_END)}
    jae done
    mov r12, rbx
    imul r12, r14
    shr r12, {64 - TABLE_BITS}
    imul r12, r12, {ENTRY}
    add r12, r8
"""
_END = f"""
    add rsi, r15
    jmp record
done:
    mov {_at(Shared.KEY)}, rbx
    mov {_at(Shared.TIME)}, rbp
    mov {_at(Shared.RECORDS)}, rsi
    mov {_at(Shared.REST)}, r11
    {RESTORE}
    ret
"""
# The difference in rax to the rest; ecx: how many bytes of it remain.
_PUT = """
    mov rcx, rax
    add rax, rax
    sar rcx, 63
    xor rax, rcx
    mov [r11], rax
    mov rdx, -8
    bsr rcx, rax
    cmovz rcx, rdx
    add ecx, 8
    shr ecx, 3
    add r11, rcx
"""
# The difference to rax, of which ecx bytes remain in the rest.
_GET = f"""
    mov rax, [r11]
    and rax, [rdi+rcx*8+{8 * Shared.MASKS}]
    add r11, rcx
    mov rdx, rax
    shr rax, 1
    and edx, 1
    neg rdx
    xor rax, rdx
"""


def _put_value(place: int, entry: int) -> str:
    return f"""
    mov rdx, [rsi+{place}]
    mov rax, rdx
    sub rax, [r12+{entry}]
    mov [r12+{entry}], rdx
    mov rcx, rax
    sub rax, [r12+{entry + STEP}]
    mov [r12+{entry + STEP}], rcx
{_PUT}"""


def _get_value(place: int, entry: int) -> str:
    return f"""{_GET}
    add rax, [r12+{entry + STEP}]
    mov [r12+{entry + STEP}], rax
    add rax, [r12+{entry}]
    mov [r12+{entry}], rax
    mov [rsi+{place}], rax
"""


# First the entry of a record to come is asked for: the table is larger than the cache that is near.
PACK = f"""{_BEGIN}
    lea rax, [rsi+r15*4]
    cmp rax, {_at(Shared.RECORDS_END)}
    cmovae rax, rsi
    mov rax, [rax]
    imul rax, r14
    shr rax, {64 - TABLE_BITS}
    imul rax, rax, {ENTRY}
    prefetcht0 byte ptr [r8+rax]
    mov rbx, [rsi]
    mov rax, rbx
    sub rax, [r12]
    mov [r12], rbx
{_PUT}
    mov r13d, ecx
    mov rdx, [rsi+r15-8]
    mov rax, rdx
    sub rax, rbp
    mov rbp, rdx
    mov rcx, rax
    sub rax, [r12+{TIME_OF_ENTRY}]
    mov [r12+{TIME_OF_ENTRY}], rcx
{_PUT}
    shl ecx, 4
    or r13d, ecx
    mov [r9], r13b
    inc r9
{_put_value(8, FIRST_OF_ENTRY)}
    mov r13d, ecx
    cmp r15, {ONE_VALUE}
    je one_value
{_put_value(16, SECOND_OF_ENTRY)}
    shl ecx, 4
    or r13d, ecx
one_value:
    mov [r10], r13b
    inc r10
{_END}"""

UNPACK = f"""{_BEGIN}
    cmp r11, {_at(Shared.REST_END)}
    ja done
    movzx r13d, byte ptr [r9]
    inc r9
    mov ecx, r13d
    and ecx, 15
{_GET}
    add rax, [r12]
    mov [r12], rax
    mov rbx, rax
    mov [rsi], rax
    shr r13d, 4
    mov ecx, r13d
{_GET}
    add rax, [r12+{TIME_OF_ENTRY}]
    mov [r12+{TIME_OF_ENTRY}], rax
    add rbp, rax
    mov [rsi+r15-8], rbp
    movzx r13d, byte ptr [r10]
    inc r10
    mov ecx, r13d
    and ecx, 15
{_get_value(8, FIRST_OF_ENTRY)}
    cmp r15, {ONE_VALUE}
    je one_value
    shr r13d, 4
    mov ecx, r13d
{_get_value(16, SECOND_OF_ENTRY)}
one_value:
{_END}"""
