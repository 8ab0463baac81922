.text
a: nop
.if (.-a) > 1
.byte 1
.endif
