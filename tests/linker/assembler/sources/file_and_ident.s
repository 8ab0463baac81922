.file "abc.c"
.ident "GCC"
nop
