# What the kernel does about a trap taken in S mode.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "trap/trap_frame.inc"

.equ CAUSES, 16

.text

# trap_handler(a0 = trap frame)
# Page faults go to page_fault; whatever else traps in the kernel is a bug of the kernel and panics by name.
FUNCTION trap_handler
    ENTER
    ld t0, TRAP_SCAUSE(a0)                      # t0: the cause
    li t1, CAUSE_STORE_PAGE_FAULT
    beq t0, t1, .Lpage_fault
    li t1, CAUSE_LOAD_PAGE_FAULT
    beq t0, t1, .Lpage_fault
    li t1, CAUSE_INSTRUCTION_PAGE_FAULT
    bne t0, t1, .Lunexpected
.Lpage_fault:
    call page_fault
    LEAVE

.Lunexpected:
    mv t2, a0                                   # t2: the trap frame
    mv a1, t0
    ld a2, TRAP_SEPC(t2)
    ld a3, TRAP_STVAL(t2)
    mv a4, t0
    bltz t0, .Linterrupt                        # the highest bit of scause: an interrupt
    mv a0, t0
    mv t3, a2                                   # cause_name leaves t3 .. t5 alone
    mv t4, a3
    mv t5, a4
    call cause_name
    mv a1, a0
    mv a2, t3
    mv a3, t4
    mv a4, t5
    la a0, message_exception
    call panic
.Linterrupt:
    la a0, message_interrupt
    call panic
END_FUNCTION trap_handler

# cause_name(a0 = exception code) -> a0 = its name (privileged manual, table 4.2). Clobbers t0 t1 only.
FUNCTION cause_name
    li t0, CAUSES
    bgeu a0, t0, .Lreserved
    la t1, cause_names
    slli a0, a0, 3
    add t1, t1, a0
    ld a0, 0(t1)
    ret
.Lreserved:
    la a0, cause_reserved
    ret
END_FUNCTION cause_name

.section .rodata
.balign 8
cause_names:
    .quad cause_0, cause_1, cause_2, cause_3, cause_4, cause_5, cause_6, cause_7
    .quad cause_8, cause_9, cause_reserved, cause_11, cause_12, cause_13, cause_reserved, cause_15
cause_0:
    .asciz "instruction address misaligned"
cause_1:
    .asciz "instruction access fault"
cause_2:
    .asciz "illegal instruction"
cause_3:
    .asciz "breakpoint"
cause_4:
    .asciz "load address misaligned"
cause_5:
    .asciz "load access fault"
cause_6:
    .asciz "store address misaligned"
cause_7:
    .asciz "store access fault"
cause_8:
    .asciz "environment call from U mode"
cause_9:
    .asciz "environment call from S mode"
cause_11:
    .asciz "environment call from M mode"
cause_12:
    .asciz "instruction page fault"
cause_13:
    .asciz "load page fault"
cause_15:
    .asciz "store page fault"
cause_reserved:
    .asciz "reserved exception"

STRING message_exception, "%s in the kernel at %p (stval=%p, scause=%d)"
STRING message_interrupt, "unexpected interrupt: scause=%p at %p"
