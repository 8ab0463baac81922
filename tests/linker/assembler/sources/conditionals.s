.data
.if 1
.byte 1
.else
.byte 2
.endif
.if 0
.byte 3
.elseif 1
.byte 4
.else
.byte 5
.endif
.ifdef foo
.byte 6
.endif
foo = 1
.ifdef foo
.byte 7
.endif
.ifndef bar
.byte 8
.endif
.ifb
.byte 9
.endif
.ifnb x
.byte 10
.endif
.ifc a, a
.byte 11
.endif
.ifnc a,b
.byte 12
.endif
.ifeqs "a","a"
.byte 13
.endif
.ifge 0
.byte 14
.endif
.iflt -1
.byte 15
.if 0
.if 1
.byte 16
.endif
.else
.byte 17
.endif
.endif
