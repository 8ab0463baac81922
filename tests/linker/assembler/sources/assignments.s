.data
.word x
.set x, 1
.word x
.set x, 2
.word x
y=5
.word y
y=6
.word y
.equ z, lab+4
lab:
.word z, z-lab
.set z, lab+8
.word z
w = .
.word w-lab, .-w
p = q
.word p
.globl q2
.equiv q2, 7
.word q2
n = n2
n2 = 5
.word n
