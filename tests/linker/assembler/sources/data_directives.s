.data
.byte 1
.align 3
.byte 2
.half 0x1122
.short 0x1122
.2byte 0x1122
.4byte 1
.8byte 1
.quad 1
.long 1
.int 1
.dword 2
.octa 0x11223344556677889900aabbccddeeff
.float 1.5, -0.1
.double 1.5
.single 2
.double 1e300, -0.0, inf, nan
.float 1e-45, 3.4e38, 0f1.5
.asciz "a\n\101\x41\"" "b"
.ascii "x", "y"
.string "z"
.string16 "ab"
.sleb128 -300
.uleb128 300
.uleb128 0
.sleb128 64
.uleb128 0xffffffffffffffff
.dtprelword q
.dtpreldword q
.byte
.word 1,,2
.asciz ""
.ascii "tab\there\v\r\b\f\\ \0z \777"
