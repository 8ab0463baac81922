# Ending: the machine is switched off through the firmware.
.include "lib/abi.inc"
.include "lib/sbi.inc"

.text

# shutdown(a0 = reason: SBI_SRST_REASON_NONE or SBI_SRST_REASON_FAILURE)
# Switches the machine off; the reason becomes its exit status. Never returns.
FUNCTION shutdown
    mv a1, a0
    li a0, SBI_SRST_TYPE_SHUTDOWN
    li a6, SBI_SRST_SYSTEM_RESET
    li a7, SBI_SRST
    ecall
    # Still here: this firmware has no SRST, and the legacy call knows no reasons.
    li a7, SBI_LEGACY_SHUTDOWN
    ecall
.Lhalt:
    wfi
    j .Lhalt
END_FUNCTION shutdown
