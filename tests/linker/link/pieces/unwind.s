# Unwind tables of all kinds: personality routines, tables of a language, groups, functions without bytes, labels inside.
    .cfi_sections .eh_frame
    .text
    .globl SELF
SELF:
    .cfi_startproc
    .cfi_personality 0x1b, handler
    .cfi_lsda 0x1b, actions
    addi sp, sp, -32
    .cfi_def_cfa_offset 32
    call once
    addi sp, sp, 32
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
nothing:
    .cfi_startproc
    .cfi_endproc
    .section .text.plain, "ax"
    .globl SELF_plain
SELF_plain:
    .cfi_startproc
    nop
    .cfi_remember_state
    .cfi_escape 0x0f, 3, 0x72, 0, 6
    ret
    .cfi_restore_state
    ret
    .cfi_endproc
    .section .text.signal, "ax"
    .globl SELF_signal
SELF_signal:
    .cfi_startproc
    .cfi_signal_frame
    ret
    .cfi_endproc
    .section .text.once, "axG", @progbits, once, comdat
    .weak once
once:
    .cfi_startproc
    .cfi_personality 0x1b, handler
    ret
    .cfi_endproc
    .section .text.handler, "axG", @progbits, handler, comdat
    .weak handler
handler: ret
    .section .gcc_except_table.SELF, "a"
actions: .byte 0xff, 0xff, 1, 0
    .section .eh_frame, "a"
    .globl SELF_frames
SELF_frames:
