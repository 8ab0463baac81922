.section .grp,"axG",@progbits,sig,comdat
sig: nop
.section .grp2,"aG",@progbits,sig,comdat
.word sig
.section .g3,"axG",@progbits,other
nop
