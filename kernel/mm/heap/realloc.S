# A heap block gets another size, whichever heap was linked.
.include "lib/abi.inc"

.text

# heap_realloc(a0 = pointer, a1 = size, a2 = align, a3 = new size) -> a0 = pointer to what has the new size: the same one
# where the heap can resize it in place, otherwise one to another block, which begins with what the old one held; 0 when
# there is no room for it beside the old one, which is then as it was
# size and align as they were at heap_alloc. Panics as heap_dealloc does.
FUNCTION heap_realloc
    ENTER 5
    mv s1, a0                                   # s1: the old block
    mv s2, a1                                   # s2: its size
    mv s3, a2                                   # s3: alignment of both
    mv s4, a3                                   # s4: new size
    call heap_resize
    mv s5, s1                                   # s5: the new block
    bnez a0, .Lmoved
    mv a0, s4
    mv a1, s3
    call heap_alloc
    mv s5, a0
    beqz a0, .Lmoved
    mv a1, s1
    mv a2, s2                                   # a2: bytes to copy, the smaller of both sizes
    bleu s2, s4, .Lcopy
    mv a2, s4
.Lcopy:
    call copy_bytes
    mv a0, s1
    mv a1, s2
    mv a2, s3
    call heap_dealloc
.Lmoved:
    mv a0, s5
    LEAVE 5
END_FUNCTION heap_realloc
