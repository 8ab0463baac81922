# Procedures before and behind a change of the sections that their tables go to.
first:
    .cfi_startproc
    addi sp, sp, -16
    .cfi_def_cfa_offset 16
    ret
    .cfi_endproc
    .cfi_sections .debug_frame
second:
    .cfi_startproc
    addi sp, sp, -32
    .cfi_def_cfa_offset 32
    ret
    .cfi_endproc
