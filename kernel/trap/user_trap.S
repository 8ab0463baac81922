# Traps of programs: system calls, page faults, the timer, and errors that end the program.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "lib/page.inc"
.include "process/process.inc"

.equ KILLED, -2                                 # exit code of a program that the kernel ended (003)

.text

# user_trap_handler: where the trampoline goes on, in the kernel's space, on the kernel stack of the process
FUNCTION user_trap_handler
    la t0, kernel_trap
    csrw stvec, t0
    la t0, current_process
    ld s1, 0(t0)                                # s1: the process
    ld t0, PROCESS_CONTEXT_PPN(s1)
    PPN_TO_VA s2, t0, t1                        # s2: its trap context
    csrr s3, scause                             # s3: the cause
    csrr s4, stval                              # s4: the address

    bltz s3, .Linterrupt
    li t0, CAUSE_USER_ECALL
    beq s3, t0, .Lcall
    li t0, CAUSE_INSTRUCTION_PAGE_FAULT
    beq s3, t0, .Lfault
    li t0, CAUSE_LOAD_PAGE_FAULT
    beq s3, t0, .Lfault
    li t0, CAUSE_STORE_PAGE_FAULT
    beq s3, t0, .Lfault
    li a2, 0
    j .Lkill

.Lcall:
    ld t0, CONTEXT_SEPC(s2)
    addi t0, t0, 4
    sd t0, CONTEXT_SEPC(s2)
    ld a0, CONTEXT_A0(s2)
    ld a1, CONTEXT_A1(s2)
    ld a2, CONTEXT_A2(s2)
    ld a7, CONTEXT_A7(s2)
    call syscall
    sd a0, CONTEXT_A0(s2)
    j user_trap_return

.Lfault:
    mv a0, s3
    call access_of_fault
    mv a2, a0                                   # a2: what was tried
    ld a0, PROCESS_SPACE(s1)
    mv a1, s4
    call space_fault
    beqz a0, user_trap_return
    mv a2, a0
.Lkill:                                         # a2: why, 0 when the name of the cause says it all
    mv s5, a2                                   # s5: why
    mv a0, s3
    call cause_name
    mv a3, a0
    ld a1, PROCESS_NAME(s1)
    ld a2, PROCESS_PID(s1)
    ld a4, CONTEXT_SEPC(s2)
    mv a5, s4
    mv a6, s5
    la a0, line_killed
    beqz s5, .Lprint_killed
    la a0, line_killed_why
.Lprint_killed:
    call printf
    li a0, KILLED
    call process_exit

.Linterrupt:
    slli t0, s3, 1
    srli t0, t0, 1
    li t1, INTERRUPT_SUPERVISOR_TIMER
    bne t0, t1, .Lother_interrupt
    call timer_next
    call schedule
    j user_trap_return
.Lother_interrupt:
    mv a1, s3
    la a0, message_interrupt
    call panic
END_FUNCTION user_trap_handler

# user_trap_return: back to the current process's program, as its trap context says. Never returns here.
FUNCTION user_trap_return
    li t0, SSTATUS_SPP
    csrc sstatus, t0                            # sret goes to U mode
    li t0, SSTATUS_SPIE
    csrs sstatus, t0                            # and switches interrupts on
    li t1, TRAMPOLINE                           # t1: where every space has the trampoline
    la t0, strampoline                          # t0: where the kernel has it
    la t2, user_trap
    sub t2, t2, t0
    add t2, t1, t2
    csrw stvec, t2
    la t2, user_return
    sub t2, t2, t0
    add s1, t1, t2                              # s1: where to leave the kernel's space
    li t0, TRAP_CONTEXT
    csrw sscratch, t0
    la t0, current_process
    ld t0, 0(t0)
    ld a0, PROCESS_SPACE(t0)
    call satp_of_space
    jr s1
END_FUNCTION user_trap_return

STRING line_killed, "[kernel] %s (pid %d) killed: %s at %p (stval=%p)\n"
STRING line_killed_why, "[kernel] %s (pid %d) killed: %s at %p, address %p: %s\n"
STRING message_interrupt, "unexpected interrupt: scause=%p"
