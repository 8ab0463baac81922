.section .rodata.cst8,"aM",@progbits,8
.byte 1, 2, 3
.section .rodata.cst16,"aM",@progbits,16
.align 4
.quad 1
.section .rodata.str4,"aMS",@progbits,4
.byte 1
