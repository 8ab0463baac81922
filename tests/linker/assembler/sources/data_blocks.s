    .data
    .dcb.b 3, 5
    .dcb.w 2, -2
    .dcb 1, 7
    .dcb.l 2, symbol
    .dcb.d 2, 1.5
    .dcb.s 1, -2.5
    .dcb.x 1, 3
    .dcb.b 0, 9
    .ds.b 3
    .ds 1
    .ds.w 2, 0x1234
    .ds.l 1
    .ds.s 1
    .ds.d 1
    .ds.p 1
    .ds.x 1
    .dc.x 1.0, -0.1, 1e300
    .spc 3
    .irep word, 1, 2
    .byte \word
    .endr
    .irepc digit, 34
    .byte \digit
    .endr
    .macro early
    .byte 6
    .mexit
    .byte 7
    .endm
    early
    .tls_common per_hart, 8
    .xcom shared, 4
    .xdef shared
