.text
.globl f
.type f,@function
f: ret
.size f, .-f
.local loc
loc: nop
.weak wk
.weak wkd
wkd: nop
call wk
.hidden hid
hid: nop
.protected pro
pro: nop
.internal int_
int_: nop
.comm c1, 8, 16
.comm c2, 4
.lcomm l1, 5
.lcomm l2, 100
.local lc
.comm lc, 12, 8
.globl unused_undefined
.equ k, 5
.globl k
la a0, c1
.type o, @object
o: .word 1
.size o, 4
.type t, %tls_object
.type n, @notype
.type g, STT_FUNC
.extern ext
