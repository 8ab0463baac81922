# printf: the one way in which the kernel prints more than a string.
.include "lib/abi.inc"

.equ DIGITS, 24
.equ ARGUMENTS, DIGITS                          # offset of the saved arguments, above the digits
.equ LOCALS, DIGITS + 7 * 8

.text

# printf(a0 = format, a1 .. a7 = values)
# %s string   %d unsigned decimal   %p hexadecimal with 0x   %c character   %% percent sign
# A width pads with spaces on the left, with a minus sign on the right: %8d %-10s.
# Anything else behind a percent sign is printed as it stands.
FUNCTION printf
    ENTER 5, LOCALS
    sd a1, ARGUMENTS(sp)
    sd a2, ARGUMENTS + 8(sp)
    sd a3, ARGUMENTS + 16(sp)
    sd a4, ARGUMENTS + 24(sp)
    sd a5, ARGUMENTS + 32(sp)
    sd a6, ARGUMENTS + 40(sp)
    sd a7, ARGUMENTS + 48(sp)
    mv s1, a0                                   # s1: position in the format
    addi s2, sp, ARGUMENTS                      # s2: next argument

.Lnext:
    lbu a0, 0(s1)
    addi s1, s1, 1
    beqz a0, .Ldone
    li t0, '%'
    beq a0, t0, .Ldirective
.Lcharacter:
    call console_putchar
    j .Lnext

.Ldirective:
    li s3, 0                                    # s3: width
    li s4, 0                                    # s4: whether to pad on the right
    lbu t1, 0(s1)
    li t0, '-'
    bne t1, t0, .Lwidth
    li s4, 1
    addi s1, s1, 1
.Lwidth:
    lbu t1, 0(s1)                               # t1: the character behind the width, in the end
    addi t2, t1, -'0'                           # t2: the digit, if it is one
    li t0, 10
    bgeu t2, t0, .Lconversion
    mul s3, s3, t0
    add s3, s3, t2
    addi s1, s1, 1
    j .Lwidth

.Lconversion:
    addi s1, s1, 1
    li t0, 's'
    beq t1, t0, .Lstring
    li t0, 'd'
    beq t1, t0, .Ldecimal
    li t0, 'p'
    beq t1, t0, .Lhex
    li t0, 'c'
    beq t1, t0, .Lchar
    mv a0, t1
    bnez a0, .Lcharacter
    j .Ldone                                    # the format ends in a percent sign

.Lchar:
    ld a0, 0(s2)
    addi s2, s2, 8
    j .Lcharacter
.Lstring:
    ld a0, 0(s2)
    j .Lpad
.Ldecimal:
    ld a0, 0(s2)
    addi a1, sp, DIGITS
    call format_decimal
    j .Lpad
.Lhex:
    ld a0, 0(s2)
    addi a1, sp, DIGITS
    call format_hex
.Lpad:
    addi s2, s2, 8
    mv s5, a0                                   # s5: the text
    mv t0, a0
.Lmeasure:
    lbu t1, 0(t0)
    beqz t1, .Lmeasured
    addi t0, t0, 1
    addi s3, s3, -1                             # from here on s3 is the padding that is left
    j .Lmeasure
.Lmeasured:
    beqz s4, .Lleft
    call print_string
    call print_spaces
    j .Lnext
.Lleft:
    call print_spaces
    mv a0, s5
    call print_string
    j .Lnext
.Ldone:
    LEAVE 5, LOCALS
END_FUNCTION printf

# print_spaces(s3 = how many, none when negative): printf's own, keeps every s register but s3.
LOCAL_FUNCTION print_spaces
    mv t3, ra                                   # console_putchar leaves the t registers alone
.Lspace:
    blez s3, .Lno_space
    li a0, ' '
    call console_putchar
    addi s3, s3, -1
    j .Lspace
.Lno_space:
    jr t3
END_FUNCTION print_spaces
