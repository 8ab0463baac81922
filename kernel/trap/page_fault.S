# Page faults taken in S mode: a lazy page gets its frame, a probe gets its answer, anything else is a bug.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "lib/page.inc"
.include "trap/trap_frame.inc"

.text

# page_fault(a0 = trap frame of cause 12, 13 or 15)
# Returns when the interrupted instruction can go on (or a probe can give up); panics otherwise, saying why.
FUNCTION page_fault
    ENTER 2
    mv s1, a0                                   # s1: the trap frame
    ld a0, TRAP_SCAUSE(s1)
    call access_of_fault
    mv a2, a0                                   # a2: what was tried
    la t0, kernel_space
    ld a0, 0(t0)
    ld a1, TRAP_STVAL(s1)
    call space_fault
    beqz a0, .Lhandled
    mv s2, a0                                   # s2: why not
    mv a0, s1
    call probe_fault
    bnez a0, .Lhandled
    ld a0, TRAP_SCAUSE(s1)
    call cause_name
    mv a1, a0
    ld a2, TRAP_STVAL(s1)
    ld a3, TRAP_SEPC(s1)
    mv a4, s2
    la a0, message_fault
    call panic
.Lhandled:
    LEAVE 2
END_FUNCTION page_fault

# access_of_fault(a0 = scause of a page fault) -> a0 = what was tried: PTE_R, PTE_W or PTE_X
FUNCTION access_of_fault
    li t0, CAUSE_LOAD_PAGE_FAULT
    beq a0, t0, .Lload
    li t0, CAUSE_STORE_PAGE_FAULT
    beq a0, t0, .Lstore
    li a0, PTE_X
    ret
.Lload:
    li a0, PTE_R
    ret
.Lstore:
    li a0, PTE_W
    ret
END_FUNCTION access_of_fault

STRING message_fault, "%s: address %p, instruction at %p: %s"
