# Filling and copying memory.
.include "lib/abi.inc"
.include "lib/page.inc"

.text

# fill_zero(a0 = start, a1 = end), both 8-byte aligned
FUNCTION fill_zero
    # Blocks of 64 bytes first: two instructions of loop for eight stores.
    sub t0, a1, a0
    andi t0, t0, -64
    add t0, a0, t0                              # t0: end of the last whole block
    beq a0, t0, .Ldoubleword
.Lblock:
    sd zero, 0(a0)
    sd zero, 8(a0)
    sd zero, 16(a0)
    sd zero, 24(a0)
    sd zero, 32(a0)
    sd zero, 40(a0)
    sd zero, 48(a0)
    sd zero, 56(a0)
    addi a0, a0, 64
    bne a0, t0, .Lblock
.Ldoubleword:
    bgeu a0, a1, .Lfilled
    sd zero, 0(a0)
    addi a0, a0, 8
    j .Ldoubleword
.Lfilled:
    ret
END_FUNCTION fill_zero

# zero_frame(a0 = ppn)
FUNCTION zero_frame
    PPN_TO_VA a0, a0, t0
    li t0, PAGE_SIZE
    add a1, a0, t0
    j fill_zero
END_FUNCTION zero_frame

# copy_bytes(a0 = target, a1 = source, a2 = bytes); the areas must not overlap
FUNCTION copy_bytes
    add a2, a0, a2                              # a2: end of the target
    or t0, a0, a1
    andi t0, t0, 7
    bnez t0, .Lcopy_byte
    sub t0, a2, a0
    andi t0, t0, -8
    add t0, a0, t0                              # both on 8 bytes: doublewords up to here
.Lcopy_doubleword:
    beq a0, t0, .Lcopy_byte
    ld t1, 0(a1)
    sd t1, 0(a0)
    addi a1, a1, 8
    addi a0, a0, 8
    j .Lcopy_doubleword
.Lcopy_byte:
    bgeu a0, a2, .Lcopied
    lbu t1, 0(a1)
    sb t1, 0(a0)
    addi a0, a0, 1
    addi a1, a1, 1
    j .Lcopy_byte
.Lcopied:
    ret
END_FUNCTION copy_bytes

# copy_frame(a0 = ppn of the target, a1 = ppn of the source)
FUNCTION copy_frame
    PPN_TO_VA a0, a0, t0
    PPN_TO_VA a1, a1, t0
    li a2, PAGE_SIZE
    j copy_bytes
END_FUNCTION copy_frame
