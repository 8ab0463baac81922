.text
nop
.byte 1
.align 3
nop
.byte 1
.p2align 4
.balign 8,0x55
.p2align 5,,2
nop
.balign 16
.balignw 8,0x1234
.word 1
.byte 2
.org 0x70
.byte 3
.skip 3
.skip 3,0x41
.space 2
.zero 2
.fill 2,2,0x1234
.fill 2,8,0x123456789
.fill 3
.fill 0, 4, 1
.fill 1,12,5
