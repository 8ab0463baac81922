# The timer interrupt: ends the time slice of a program.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "lib/sbi.inc"

.equ TICKS_PER_SLICE, 100000                    # 10 ms at the 10 MHz of QEMU's `virt`

.text

# timer_start(): the first slice begins. Interrupts arrive in U mode only: the kernel keeps sstatus.SIE clear.
FUNCTION timer_start
    li t0, SIE_STIE
    csrs sie, t0
    j timer_next
END_FUNCTION timer_start

# timer_next(): the next interrupt comes one slice from now
FUNCTION timer_next
    rdtime a0
    li t0, TICKS_PER_SLICE
    add a0, a0, t0
    li a6, SBI_TIME_SET_TIMER
    li a7, SBI_TIME
    ecall
    ret
END_FUNCTION timer_next

# timer_wait(): waits for the end of the slice, and begins the next one
# The interrupt is not taken, as the kernel has sstatus.SIE clear; that it is pending ends wfi.
FUNCTION timer_wait
    wfi
    j timer_next
END_FUNCTION timer_wait

# timer_stop()
FUNCTION timer_stop
    li t0, SIE_STIE
    csrc sie, t0
    ret
END_FUNCTION timer_stop
