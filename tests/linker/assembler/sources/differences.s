.data
s: .byte 1
.skip l2-l1
e: .byte 2
l1: .word 7
l2:
.word e-s, s-e, e-s+4, (e-s)*2, (e-s)/3
.byte e-s
.half e-s
.dword e-s
len = e-s
.word len
.text
t1: nop
beqz a0, t1
t2: .word t2-t1
.half t2-t1
.byte t2-t1
.dword t2-t1+4
.word x-t1
.data
.word t2-t1
.dword t2
.word t1-.
.word .-t1
