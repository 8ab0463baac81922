"""Records are packed and unpacked for AArch64 (AAPCS64); see `emu.record.predicted.layout`."""

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
    return f"[x0, #{8 * word}]"


# x1: the record; x2: the end; x3: table; x4: lengths; x5: values; x6: rest; x7: key; x8: time; x9: multiplier;
# x10: width; x11: entry; x12: its lengths.
_BEGIN = f"""
    ldr x1, {_at(Shared.RECORDS)}
    ldr x2, {_at(Shared.RECORDS_END)}
    ldr x3, {_at(Shared.TABLE)}
    ldr x4, {_at(Shared.LENGTHS)}
    ldr x5, {_at(Shared.VALUES)}
    ldr x6, {_at(Shared.REST)}
    ldr x7, {_at(Shared.KEY)}
    ldr x8, {_at(Shared.TIME)}
    ldr x10, {_at(Shared.WIDTH)}
    movz x9, #{MULTIPLIER >> 48:#x}, lsl #48
    movk x9, #{MULTIPLIER >> 32 & 0xFFFF:#x}, lsl #32
    movk x9, #{MULTIPLIER >> 16 & 0xFFFF:#x}, lsl #16
    movk x9, #{MULTIPLIER & 0xFFFF:#x}
record:
    cmp x1, x2
    b.hs done
    mul x11, x7, x9
    lsr x11, x11, #{64 - TABLE_BITS}
    add x11, x3, x11, lsl #{ENTRY.bit_length() - 1}
"""
_END = f"""
    add x1, x1, x10
    b record
done:
    str x7, {_at(Shared.KEY)}
    str x8, {_at(Shared.TIME)}
    str x1, {_at(Shared.RECORDS)}
    str x6, {_at(Shared.REST)}
    ret
"""
# The difference in x13 to the rest; x14: how many bytes of it remain.
_PUT = """
    asr x14, x13, #63
    eor x13, x14, x13, lsl #1
    str x13, [x6]
    clz x14, x13
    mov x15, #71
    sub x14, x15, x14
    lsr x14, x14, #3
    add x6, x6, x14
"""
# The difference to x13, of which x14 bytes remain in the rest.
_GET = f"""
    ldr x13, [x6]
    add x15, x0, x14, lsl #3
    ldr x15, [x15, #{8 * Shared.MASKS}]
    and x13, x13, x15
    add x6, x6, x14
    and x15, x13, #1
    neg x15, x15
    eor x13, x15, x13, lsr #1
"""


def _put_value(place: int, entry: int) -> str:
    return f"""
    ldr x15, [x1, #{place}]
    ldp x14, x16, [x11, #{entry}]
    sub x14, x15, x14
    sub x13, x14, x16
    stp x15, x14, [x11, #{entry}]
{_PUT}"""


def _get_value(place: int, entry: int) -> str:
    return f"""{_GET}
    ldp x14, x16, [x11, #{entry}]
    add x16, x16, x13
    add x14, x14, x16
    stp x14, x16, [x11, #{entry}]
    str x14, [x1, #{place}]
"""


assert STEP == TIME_OF_ENTRY == 8, "pairs of words are read and written"

# First the entry of a record to come is asked for: the table is larger than the cache that is near.
PACK = f"""{_BEGIN}
    add x17, x1, x10, lsl #2
    cmp x17, x2
    csel x17, x1, x17, hs
    ldr x17, [x17]
    mul x17, x17, x9
    lsr x17, x17, #{64 - TABLE_BITS}
    add x17, x3, x17, lsl #{ENTRY.bit_length() - 1}
    prfm pldl1keep, [x17]
    add x17, x1, x10
    ldr x7, [x1]
    ldp x14, x16, [x11]
    str x7, [x11]
    sub x13, x7, x14
{_PUT}
    mov x12, x14
    ldr x15, [x17, #-8]
    sub x14, x15, x8
    mov x8, x15
    sub x13, x14, x16
    str x14, [x11, #{TIME_OF_ENTRY}]
{_PUT}
    orr x12, x12, x14, lsl #4
    strb w12, [x4], #1
{_put_value(8, FIRST_OF_ENTRY)}
    mov x12, x14
    cmp x10, #{ONE_VALUE}
    b.eq one_value
{_put_value(16, SECOND_OF_ENTRY)}
    orr x12, x12, x14, lsl #4
one_value:
    strb w12, [x5], #1
{_END}"""

UNPACK = f"""
    ldr x17, {_at(Shared.REST_END)}
{_BEGIN}
    cmp x6, x17
    b.hi done
    ldrb w12, [x4], #1
    and x14, x12, #15
{_GET}
    ldr x14, [x11]
    add x7, x14, x13
    str x7, [x11]
    str x7, [x1]
    lsr x14, x12, #4
{_GET}
    ldr x14, [x11, #{TIME_OF_ENTRY}]
    add x14, x14, x13
    str x14, [x11, #{TIME_OF_ENTRY}]
    add x8, x8, x14
    add x15, x1, x10
    str x8, [x15, #-8]
    ldrb w12, [x5], #1
    and x14, x12, #15
{_get_value(8, FIRST_OF_ENTRY)}
    cmp x10, #{ONE_VALUE}
    b.eq one_value
    lsr x14, x12, #4
{_get_value(16, SECOND_OF_ENTRY)}
one_value:
{_END}"""
