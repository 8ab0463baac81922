.section .data
.p2align 3
.org 5
.byte 1
.org 20, 0xff
.byte 2
lab2:
.org lab2+30
.byte 3
lab3:
.byte 4
