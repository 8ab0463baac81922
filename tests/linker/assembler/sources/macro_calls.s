    .macro GO where
    j \where
    .endm
    .macro store reg, slot=0
    sd \reg, \slot*8(sp)
    .endm
    .macro .put value
    .byte \value
    .endm
first:  GO(first)
    GO (first)
    go first
    Store ra
    STORE ra 2
    store ra, 3
    .data
    .put 1
    .PUT(2)
    .byte(3)
    .align(3)
