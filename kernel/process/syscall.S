# System calls: numbers (those of 003, which are Linux's where it has them), and the ones about console and time.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "process/process.inc"

.equ STDIN, 0
.equ STDOUT, 1
.equ STDERR, 2
.equ TICKS_PER_MILLISECOND, 10000               # 10 MHz

# A row of the table: number, function
.equ CALL_NUMBER, 0
.equ CALL_FUNCTION, 8
.equ CALL_SIZE, 16

.section .rodata
.balign 8
calls:
    .quad 63, sys_read
    .quad 64, sys_write
    .quad 93, process_exit
    .quad 124, sys_yield
    .quad 169, sys_get_time
    .quad 172, sys_getpid
    .quad 214, sys_brk
    .quad 215, sys_munmap
    .quad 216, sys_sbrk
    .quad 220, sys_fork
    .quad 221, sys_exec
    .quad 222, sys_mmap
    .quad 260, sys_waitpid
calls_end:

.text

# syscall(a0, a1, a2 = arguments, a7 = number) -> a0 = its result, -1 when there is no such call
FUNCTION syscall
    la t0, calls                                # t0: the row to look at
    la t1, calls_end
.Ltry_number:
    ld t2, CALL_NUMBER(t0)
    beq t2, a7, .Lcall_found
    addi t0, t0, CALL_SIZE
    bne t0, t1, .Ltry_number
    li a0, -1
    ret
.Lcall_found:
    ld t2, CALL_FUNCTION(t0)                    # t2: its function
    jr t2
END_FUNCTION syscall

# sys_write(a0 = file descriptor, a1 = va, a2 = bytes) -> a0 = bytes, -1 when the descriptor is not for writing or the
# program may not read all of it: then nothing is written, unless memory ran out
FUNCTION sys_write
    ENTER 7
    addi t0, a0, -STDOUT
    li t1, STDERR - STDOUT
    bgtu t0, t1, .Lnot_written
    mv s2, a1                                   # s2: va of the next byte
    mv s3, a2                                   # s3: bytes left
    mv s6, a1                                   # s6, s7: as they were
    mv s7, a2
    la t0, current_process
    ld t0, 0(t0)
    ld s1, PROCESS_SPACE(t0)                    # s1: the program's space
.Lcheck_page:
    beqz s3, .Lreadable                         # first only look whether all of it can be read
    mv a0, s1
    mv a1, s2
    li a2, PTE_R
    call user_page
    beqz a0, .Lnot_written
    add s2, s2, a1
    sub t0, s3, a1
    sltu t1, a1, s3
    neg t1, t1
    and s3, t0, t1                              # none left when this page holds more than that
    j .Lcheck_page
.Lreadable:
    mv s2, s6
    mv s3, s7
.Lwrite_page:
    beqz s3, .Lwritten
    mv a0, s1
    mv a1, s2
    li a2, PTE_R
    call user_page
    beqz a0, .Lnot_written                      # readable a moment ago, but now there is no frame to bring it back
    mv s4, a0                                   # s4 .. s5: what of it lies in this page
    bleu a1, s3, .Lwrite_part
    mv a1, s3
.Lwrite_part:
    add s5, a0, a1
    add s2, s2, a1
    sub s3, s3, a1
.Lwrite_byte:
    lbu a0, 0(s4)
    call console_putchar
    addi s4, s4, 1
    bne s4, s5, .Lwrite_byte
    j .Lwrite_page
.Lwritten:
    mv a0, s7
    LEAVE 7
.Lnot_written:
    li a0, -1
    LEAVE 7
END_FUNCTION sys_write

# sys_read(a0 = file descriptor, a1 = va, a2 = bytes) -> a0 = 1, -1 when the descriptor is not for reading or the program
# may not write there; 0 when no byte is wanted
# Reads one character, as 003 does, and lets others run until it is typed.
FUNCTION sys_read
    ENTER 1, 16
    bnez a0, .Lnot_read                         # STDIN
    beqz a2, .Lnothing_asked
    mv s1, a1
.Ltry_again:
    call console_getchar
    bgez a0, .Lgot_character
    call schedule
    bnez a0, .Ltry_again
    call timer_wait
    j .Ltry_again
.Lgot_character:
    sb a0, 0(sp)
    mv a2, s1
    la t0, current_process
    ld t0, 0(t0)
    ld a0, PROCESS_SPACE(t0)
    mv a1, sp
    li a3, 1
    call copy_to_user
    bnez a0, .Lnot_read
    li a0, 1
.Lnothing_asked:
    LEAVE 1, 16
.Lnot_read:
    li a0, -1
    LEAVE 1, 16
END_FUNCTION sys_read

# sys_yield() -> a0 = 0: the next one's turn
FUNCTION sys_yield
    ENTER
    call schedule
    li a0, 0
    LEAVE
END_FUNCTION sys_yield

# sys_get_time() -> a0 = milliseconds since the machine was switched on
FUNCTION sys_get_time
    rdtime a0
    li t0, TICKS_PER_MILLISECOND
    divu a0, a0, t0
    ret
END_FUNCTION sys_get_time

# sys_getpid() -> a0 = pid
FUNCTION sys_getpid
    la t0, current_process
    ld t0, 0(t0)
    ld a0, PROCESS_PID(t0)
    ret
END_FUNCTION sys_getpid
