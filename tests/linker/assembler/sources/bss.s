.bss
.globl buf
buf: .skip 100
.align 12
.space 4096
.data
.comm q,4
