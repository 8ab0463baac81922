    .section .eh_frame
    .text
    .cfi_sections .debug_frame, .eh_frame
first:
    .cfi_startproc
    nop
    .cfi_def_cfa_offset 16
    call second
    .cfi_offset ra, -8
    ret
    .cfi_endproc
second:
    .cfi_startproc
    .cfi_signal_frame
    ret
    .cfi_endproc
