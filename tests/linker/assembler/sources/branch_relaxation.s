.text
b1: beqz a0, far
bnez a1, far
beq a0,a1,far
bltu a0,a1,far
j far
jal far
.skip 300
beqz a0, b1
bne a0,a1,b1
j b1
.skip 3000
beqz a0, b1
bnez a1, b1
blt a0,a1,b1
j b1
.skip 5000
far: nop
beqz a0,b1
bgeu a0,a1,b1
j b1
j undefd
beqz a0, undefd
beq a0,a1,undefd
.option push
.option rvc
c.j far
c.beqz a0, b1
c.bnez a0, undefd
c.j undefd
c.j b1
.option pop
.weak w
w: beqz a0,w
j w
.globl gg
gg: beqz a0,gg
.section .text2,"ax"
beqz a0, far
j far
