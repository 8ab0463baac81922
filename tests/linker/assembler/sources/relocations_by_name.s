start:
    nop
    .reloc start, R_RISCV_NONE
    .reloc start + 2, R_RISCV_JAL, elsewhere + 16
    nop
    .reloc 1, r_riscv_add16, start
    call elsewhere
    .reloc . - 4, R_RISCV_SUB16, .Lplace
.Lplace:
    .data
table:
    .dword table
    .reloc table + 4, BFD_RELOC_32, 7
    .reloc table + 2, R_RISCV_SET8, start
    .dword start
    .reloc 8, R_RISCV_32, table
    .reloc start + 2, R_RISCV_64, table
