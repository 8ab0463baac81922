.text
nop
.pushsection .data
.word 1
.pushsection .rodata, "a"
.word 2
.popsection
.word 3
.popsection
nop
.section .foo,"aw",@progbits
.byte 1
.previous
nop
.subsection 2
.word 0x22
.subsection 1
.word 0x11
.text 0
nop
.data 1
.byte 1
.data 0
.byte 2
