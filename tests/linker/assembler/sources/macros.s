.macro m a, b=5, c:req, d:vararg
.word \a, \b, \c
.word \d
.endm
m 1, 2, 3, 4, 5
m 1, , 3, 4
m a=7, c=9
m 1 2 3 4
.macro n x
lab\@: .word \x\()0
.word lab\@ - .
.endm
.data
n 1
n 2
.macro rec n
.word \n
.if \n
rec "(\n-1)"
.endif
.endm
rec 3
.macro e
.word 1
.exitm
.word 2
.endm
e
.macro outer p
.macro inner_\p q
.word \p + \q
.endm
inner_\p 5
.endm
outer 3
.purgem e
.macro s str
.ascii "\str"
.endm
s hello
s "a b"
.macro loopy regs:vararg
.irp r, \regs
.byte \r
.endr
.endm
loopy 1, 2, 3
m 1+2 , 3 * 4, (5 + 6), 9
m 1 + 2, 3, 4, 5
