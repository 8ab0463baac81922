# memory: gets a lot, uses little of it, and shares the rest with a child until one of them writes.
.include "lib/abi.inc"

.equ HEAP_BYTES, 16 << 20
.equ MAPPED, 0x20000000
.equ MAPPED_BYTES, 8192
.equ MAP_RW, 3
.equ PAGE_SIZE, 4096

.text
FUNCTION main
    ENTER 3, 16
    li a0, HEAP_BYTES
    call sbrk
    bltz a0, .Lfailed
    mv s1, a0                                   # s1: the heap
    li t0, HEAP_BYTES - 8
    add s2, s1, t0                              # s2: its last doubleword
    li t0, 11
    sd t0, 0(s1)
    li t0, 22
    sd t0, 0(s2)

    call fork
    bltz a0, .Lfailed
    bnez a0, .Lparent
    li t0, 33
    sd t0, 0(s1)
    ld a1, 0(s1)
    ld a2, 0(s2)
    la a0, line_child
    call printf
    li a0, 5
    call exit
.Lparent:
    mv a1, sp
    call waitpid
    ld a1, 0(s1)
    ld a2, 0(s2)
    lw a3, 0(sp)
    la a0, line_parent
    call printf

    li a0, -(HEAP_BYTES)
    call sbrk
    bltz a0, .Lfailed
    li a0, MAPPED
    li a1, MAPPED_BYTES
    li a2, MAP_RW
    call mmap
    bnez a0, .Lfailed
    li s3, MAPPED + PAGE_SIZE - 4
    sd s3, 0(s3)                                # over a page boundary
    ld s3, 0(s3)
    li a0, MAPPED
    li a1, MAPPED_BYTES
    call munmap
    bnez a0, .Lfailed
    mv a1, s3
    la a0, line_mapped
    call printf
    li a0, 0
    LEAVE 3, 16
.Lfailed:
    la a0, line_failed
    call print_string
    li a0, 1
    LEAVE 3, 16
END_FUNCTION main

STRING line_child, "memory: the child wrote %d and still sees %d\n"
STRING line_parent, "memory: the parent still sees %d and %d; the child left with %d\n"
STRING line_mapped, "memory: mapped, written over a page boundary: %p, and unmapped\n"
STRING line_failed, "memory: no memory\n"
