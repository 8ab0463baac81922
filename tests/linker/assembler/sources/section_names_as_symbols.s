.text
.word .text, .data, .data+4
la a0, .rodata
.section .rodata
.word 1
