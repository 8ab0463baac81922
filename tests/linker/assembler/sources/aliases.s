# another name has the type and size that are known when it is given
    .globl copy
    .type copy, @function
copy:
    nop
    ret
    .size copy, . - copy
    .set move, copy
    .globl move
    .set duplicate, move
    .hidden duplicate
    .set behind, copy + 2
    .set nowhere, undefined
    .set forward, later
    .size forward, 7
    .type forward, @object
    .weak maybe
    maybe = copy
    .data
later: .word undefined
    .type later, @object
    .size later, 4
    backward = later
    .size backward, 9
    early = quiet
quiet: .word 2
    .size early, 11
    .type early, @function
