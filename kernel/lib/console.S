# Characters and strings on the firmware's console.
.include "lib/abi.inc"
.include "lib/sbi.inc"

.text

# console_putchar(a0 = character)
FUNCTION console_putchar
    li a7, SBI_LEGACY_CONSOLE_PUTCHAR
    ecall
    ret
END_FUNCTION console_putchar

# console_getchar() -> a0 = character, -1 when none was typed
FUNCTION console_getchar
    li a7, SBI_LEGACY_CONSOLE_GETCHAR
    ecall
    ret
END_FUNCTION console_getchar

# print_string(a0 = NUL-terminated string)
FUNCTION print_string
    # The legacy call changes a0 only (SBI specification, chapter 5), so t0 keeps the position.
    mv t0, a0
    li a7, SBI_LEGACY_CONSOLE_PUTCHAR
.Lcharacter:
    lbu a0, 0(t0)
    beqz a0, .Lend
    ecall
    addi t0, t0, 1
    j .Lcharacter
.Lend:
    ret
END_FUNCTION print_string
