.file "abc.c"
.ident "GCC"
nop
.section .comment
.string "x"
.text
.ident "more"
