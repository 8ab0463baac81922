.option norvc
.align 3
nop
.align 3
nop
