# faults: does in turn, each in a process of its own, what no program may do, and stays alive itself.
.include "lib/abi.inc"

.equ KERNEL_ADDRESS, 0x80200000
.equ STDOUT, 1

.text
# The deeds come first, so that their addresses do not depend on the rest.
FUNCTION touch_kernel
    li t0, KERNEL_ADDRESS
    ld t0, 0(t0)
    ret
END_FUNCTION touch_kernel

FUNCTION write_text
    la t0, main
    sd zero, 0(t0)
    ret
END_FUNCTION write_text

FUNCTION execute_data
    la t0, deeds
    jr t0
END_FUNCTION execute_data

FUNCTION illegal_instruction
    csrr t0, sstatus
    ret
END_FUNCTION illegal_instruction

FUNCTION null_pointer
    sd zero, 0(zero)
    ret
END_FUNCTION null_pointer

FUNCTION overflow_stack
    addi sp, sp, -2000
    sd zero, 0(sp)
    j overflow_stack
END_FUNCTION overflow_stack

FUNCTION main
    ENTER 2, 16
    la s1, deeds
.Ldeed:
    call fork
    bltz a0, .Lno_memory
    bnez a0, .Lparent
    ld t0, 0(s1)
    jalr t0
    li a0, 0
    call exit
.Lparent:
    mv a1, sp
    call waitpid
    addi s1, s1, 8
    la t0, deeds_end
    bne s1, t0, .Ldeed

    li a0, STDOUT
    li a1, KERNEL_ADDRESS
    li a2, 8
    call write
    mv s2, a0
    li a0, STDOUT
    la a1, line
    la a2, deeds_end
    li t0, 0x100000
    add a2, a2, t0                              # from there far behind the program's end
    call write
    mv a2, a0
    sub a1, zero, s2
    sub a2, zero, a2
    la a0, line
    call printf
    li a0, 0
    LEAVE 2, 16
.Lno_memory:
    la a0, line_no_memory
    call print_string
    li a0, 1
    LEAVE 2, 16
END_FUNCTION main

.data
.balign 8
deeds:
    .quad touch_kernel, write_text, execute_data, illegal_instruction, null_pointer, overflow_stack
deeds_end:

STRING line, "faults: bad pointers in system calls are errors: -%d -%d\n"
STRING line_no_memory, "faults: no memory left for a process\n"
