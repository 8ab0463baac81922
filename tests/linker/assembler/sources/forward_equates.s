.data
.balign 4
a: .word b
.previous
.word 1
b = a + 4
.set c, b - a
.text
li a0, c
