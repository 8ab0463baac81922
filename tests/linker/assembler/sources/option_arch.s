.option arch, -c
nop
.option push
.option arch, +c
nop
.option pop
.align 4
nop
.byte 1
.align 3
