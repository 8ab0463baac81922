# Numbers as text, and on the console.
.include "lib/abi.inc"

.equ DIGITS, 24                                 # 20 decimal digits, or "0x" and 16, and the NUL

.text

# format_hex(a0 = value, a1 = end of a buffer of 24 bytes) -> a0 = the text, "0x..." without leading zeros
# Writes backwards from the end, so that the number of digits need not be known. Clobbers t0 t1 t2.
FUNCTION format_hex
    addi a1, a1, -1
    sb zero, 0(a1)
    li t1, 10                                   # t1: the first digit that is a letter
.Lhex_digit:
    andi t0, a0, 15                             # t0: the digit
    addi t2, t0, '0'                            # t2: its character
    bltu t0, t1, .Lstore_digit
    addi t2, t0, 'a' - 10
.Lstore_digit:
    addi a1, a1, -1
    sb t2, 0(a1)
    srli a0, a0, 4
    bnez a0, .Lhex_digit
    li t0, 'x'
    sb t0, -1(a1)
    li t0, '0'
    sb t0, -2(a1)
    addi a0, a1, -2
    ret
END_FUNCTION format_hex

# format_decimal(a0 = value, unsigned, a1 = end of a buffer of 24 bytes) -> a0 = the text
FUNCTION format_decimal
    addi a1, a1, -1
    sb zero, 0(a1)
    li t1, 10                                   # t1: the base
.Ldecimal_digit:
    remu t0, a0, t1
    divu a0, a0, t1
    addi t0, t0, '0'
    addi a1, a1, -1
    sb t0, 0(a1)
    bnez a0, .Ldecimal_digit
    mv a0, a1
    ret
END_FUNCTION format_decimal

# print_hex(a0 = value)
FUNCTION print_hex
    ENTER 0, DIGITS
    addi a1, sp, DIGITS
    call format_hex
    call print_string
    LEAVE 0, DIGITS
END_FUNCTION print_hex

# print_decimal(a0 = value, unsigned)
FUNCTION print_decimal
    ENTER 0, DIGITS
    addi a1, sp, DIGITS
    call format_decimal
    call print_string
    LEAVE 0, DIGITS
END_FUNCTION print_decimal
