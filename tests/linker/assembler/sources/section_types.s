.section .init_array,"aw"
.dword f
.section .fini_array
.dword f
.section .note.GNU-stack,"",@progbits
.section .tbss,"awT",@nobits
tv: .skip 8
.section .tdata
tw: .word 5
.section .rodata.str1.8,"aMS",@progbits,1
.string "abc"
.section .rodata.cst8,"aM",@progbits,8
.dword 5
.section .ex,"axe"
nop
.section .text.hot
nop
.section .data.rel.ro,"aw"
.dword tv
.section .sbss,"aw",@nobits
.skip 4
.section .comment
.string "x"
.section .debug_str,"MS",@progbits,1
.string "y"
.section .init
nop
.section .rodata1
.word 1
.section .bss.foo
.skip 4
.section .retain,"awR"
.word 1
