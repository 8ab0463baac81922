.text
x = 16
j x
beq a0, a1, x
call x
la a0, x
lw a0, x(a1)
addi a0,a0,x
.word x
.set y, f + 4
f: nop
j y
beqz a0, y
la a0, y
.word y, y-f
