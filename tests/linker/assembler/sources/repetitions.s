.data
.rept 3
.byte 1
.endr
.irp x, 1, 2, 3
.byte \x
.endr
.irp x 4 5 6
.byte \x
.endr
.irpc c, abc
.ascii "\c"
.endr
.rept 2
.rept 2
.byte 9
.endr
.endr
.irp r,a0,a1
.irp v,1,2
.ascii "\r\v"
.endr
.endr
.rept 0
.byte 5
.endr
.set i, 0
.rept 4
.byte i
.set i, i+1
.endr
