.option push
.option norvc
addi a0,a0,1
.option pop
addi a0,a0,1
.option rvc
addi a0,a0,1
.option norvc
nop
.option arch, +c
nop
.option arch, rv64i
nop
