# Page faults taken in S mode: a lazy page gets its frame, a probe gets its answer, anything else is a bug.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "lib/page.inc"
.include "trap/trap_frame.inc"

.text

# page_fault(a0 = trap frame of cause 12, 13 or 15)
# Returns when the interrupted instruction can go on (or a probe can give up); panics otherwise, saying why.
FUNCTION page_fault
    ENTER 1
    mv s1, a0
    ld a0, TRAP_STVAL(s1)
    ld a1, TRAP_SCAUSE(s1)
    call lazy_fault
    bnez a0, 1f
    mv a0, s1
    call probe_fault
    bnez a0, 1f

    la t0, kernel_root_ppn
    ld a0, 0(t0)
    ld a1, TRAP_STVAL(s1)
    srli a1, a1, PAGE_SHIFT
    call find_pte
    la a4, reason_unmapped
    beqz a0, 2f
    la a4, reason_permission
2:  ld a0, TRAP_SCAUSE(s1)
    call cause_name
    mv a1, a0
    ld a2, TRAP_STVAL(s1)
    ld a3, TRAP_SEPC(s1)
    la a0, message_fault
    call panic
1:  LEAVE 1
END_FUNCTION page_fault

STRING message_fault, "%s: address %p, instruction at %p: %s"
STRING reason_unmapped, "nothing is mapped there"
STRING reason_permission, "the page is mapped without this permission"
