a:b: nop
1:2: nop
j 1b; j 2b
3:j 3f
3: j 3b
10: j 10b
lab : nop
.Llocal: j .Llocal
$dollar: nop
a.b.c: nop
"quoted name": nop
call "quoted name"
"never used": nop
