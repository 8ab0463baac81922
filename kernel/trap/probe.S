# Probes: accesses that may fault. The kernel uses them to check that its own mapping refuses what it should refuse.
.include "lib/abi.inc"
.include "trap/trap_frame.inc"

VARIABLE probe_resume                           # where to go on after a fault, 0 outside of probes

.text

# probe_load(a0 = va)    -> a0 = 0, or the scause of the page fault that a load of 8 bytes ended in
# probe_store(a0 = va)   -> the same for a store of what is already there: never call it for an address that cannot be read
# probe_execute(a0 = va) -> the same for a call of va; code there must return
FUNCTION probe_load
    la t0, probe_resume
    la t1, .Lresume
    sd t1, 0(t0)
    ld t2, 0(a0)
    j .Lunharmed
END_FUNCTION probe_load

FUNCTION probe_store
    ld t2, 0(a0)
    la t0, probe_resume
    la t1, .Lresume
    sd t1, 0(t0)
    sd t2, 0(a0)
.Lunharmed:
    li a0, 0
.Lresume:                                       # after a fault a0 is its scause
    la t0, probe_resume
    sd zero, 0(t0)
    ret
END_FUNCTION probe_store

FUNCTION probe_execute
    ENTER
    la t0, probe_resume
    la t1, .Lresumed
    sd t1, 0(t0)
    jalr a0
    li a0, 0
.Lresumed:
    la t0, probe_resume                         # a refused fetch has changed nothing but ra
    sd zero, 0(t0)
    LEAVE
END_FUNCTION probe_execute

# probe_fault(a0 = trap frame) -> a0 = 1 when the fault was a probe's, which then goes on with scause in its a0; else 0
FUNCTION probe_fault
    la t0, probe_resume
    ld t1, 0(t0)
    beqz t1, .Lno_probe
    sd t1, TRAP_SEPC(a0)
    ld t1, TRAP_SCAUSE(a0)
    sd t1, TRAP_A0(a0)
    li a0, 1
    ret
.Lno_probe:
    li a0, 0
    ret
END_FUNCTION probe_fault
