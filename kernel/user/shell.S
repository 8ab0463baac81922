# shell: runs programs by name, until the line is `exit`.
.include "lib/abi.inc"

.equ LINE, 64
.equ BACKSPACE, 8
.equ DELETE, 127

.text
FUNCTION main
    ENTER 2, LINE
.Lprompt:
    la a0, prompt
    call print_string
    mv s1, sp                                   # s1: where the next character goes
.Lnext:
    call getchar
    bltz a0, .Lend
    mv s2, a0
    li t0, '\r'
    beq s2, t0, .Lline
    li t0, '\n'
    beq s2, t0, .Lline
    li t0, BACKSPACE
    beq s2, t0, .Lerase
    li t0, DELETE
    beq s2, t0, .Lerase
    li t0, ' '
    bltu s2, t0, .Lnext
    addi t0, sp, LINE - 1
    beq s1, t0, .Lnext                          # the line is full
    sb s2, 0(s1)
    addi s1, s1, 1
    mv a0, s2
    call console_putchar
    j .Lnext
.Lerase:
    beq s1, sp, .Lnext
    addi s1, s1, -1
    la a0, erase
    call print_string
    j .Lnext
.Lline:
    sb zero, 0(s1)
    la a0, newline
    call print_string
    lbu t0, 0(sp)
    beqz t0, .Lprompt
    mv a0, sp
    la a1, name_exit
    call same
    bnez a0, .Lend
    mv a0, sp
    call run
    beqz a0, .Lprompt
    mv a2, a0
    mv a1, sp
    la a0, line_not_found
    li t0, 127
    beq a2, t0, .Lprint_result
    la a0, line_failed
    bgez a2, .Lprint_result
    sub a2, zero, a2
    la a0, line_killed
.Lprint_result:
    call printf
    j .Lprompt
.Lend:
    li a0, 0
    LEAVE 2, LINE
END_FUNCTION main

# same(a0, a1 = strings) -> a0 = 1 or 0
same:
.Lcompare_character:
    lbu t0, 0(a0)
    lbu t1, 0(a1)
    bne t0, t1, .Ldifferent
    addi a0, a0, 1
    addi a1, a1, 1
    bnez t0, .Lcompare_character
    li a0, 1
    ret
.Ldifferent:
    li a0, 0
    ret

STRING prompt, "$ "
STRING erase, "\b \b"
STRING newline, "\n"
STRING name_exit, "exit"
STRING line_not_found, "shell: %s: no such program\n"
STRING line_failed, "shell: %s ended with exit code %d\n"
STRING line_killed, "shell: %s ended with exit code -%d\n"
