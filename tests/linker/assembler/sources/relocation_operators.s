.text
f:
lui a0,%hi(x)
addi a0,a0,%lo(x)
lui a0,%hi(x+0x1234)
lw a0,%lo(x+0x1234)(a0)
sw a0,%lo(x+8)(a0)
1: auipc a0,%pcrel_hi(x+4)
addi a0,a0,%pcrel_lo(1b)
sw a0,%pcrel_lo(1b)(a0)
2: auipc a0,%got_pcrel_hi(x)
ld a0,%pcrel_lo(2b)(a0)
lui a0,%tprel_hi(tv)
add a0,a0,tp,%tprel_add(tv)
lw a0,%tprel_lo(tv)(a0)
sw a0,%tprel_lo(tv+4)(a0)
auipc a0,%tls_ie_pcrel_hi(tv)
auipc a0,%tls_gd_pcrel_hi(tv)
la.tls.ie a0,tv
la.tls.gd a0,tv
call f+4
tail f@plt
jump f,t0
call t0,f
lla a0,f
.option pic
la a0,f
lla a0,f
.option nopic
la a0,f
lb a0,x
fld fa0,x,t0
fsd fa0,x+8,t0
sd a0,x,t0
lui a0,%hi(0x12345678)
addi a0,a0,%lo(0x12345678)
j 0x100
beq a0,a1,0x100
call 0x100
jal 16
lui a0,%hi(0x5000)
addi a0,a0,%lo(5)
lw a0,%lo(4)(sp)
li a0,%lo(4)
