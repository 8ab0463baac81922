nop # comment
/* block
comment */ nop
nop /* inline */ ; nop
.ascii "#not;comment/* */"
.byte '#', ';', 'a', '"'
# 100 "foo.c"
	nop	#tab
addi a0 , a0 , 1
addi	a0,a0,1
  ADDI a0,a0,1
