# Copies between the kernel and a program's memory, page by page, because consecutive pages lie anywhere
# (003: translated_byte_buffer). A bad pointer is an error that the caller gets back, never a fault of the kernel.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

.text

# user_page(a0 = space, a1 = va, a2 = PTE_R or PTE_W) -> a0 = where the kernel sees that address, a1 = bytes to the end of
# its page; a0 = 0 when the program may not access it so
FUNCTION user_page
    ENTER 3
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: va
    mv s3, a2                                   # s3: access
.Llook_up_page:
    ld a0, SPACE_ROOT(s1)
    srli a1, s2, PAGE_SHIFT
    call find_pte
    beqz a0, .Lfault_in
    bnez a1, .Lno_access                        # programs have no large leaves
    ld t0, 0(a0)                                # t0: the PTE
    andi t1, t0, PTE_U
    beqz t1, .Lno_access                        # a page of the kernel in the program's space
    and t1, t0, s3
    beqz t1, .Lfault_in
    srli t0, t0, PTE_PPN_SHIFT
    PPN_TO_VA a0, t0, t1
    li t0, PAGE_SIZE - 1
    and t1, s2, t0
    add a0, a0, t1
    sub a1, t0, t1
    addi a1, a1, 1
    LEAVE 3
.Lfault_in:
    mv a0, s1                                   # what the program's own access would do
    mv a1, s2
    mv a2, s3
    call space_fault
    beqz a0, .Llook_up_page
.Lno_access:
    li a0, 0
    LEAVE 3
END_FUNCTION user_page

# copy_from_user(a0 = space, a1 = target in the kernel, a2 = source, va of the program, a3 = bytes) -> a0 = 0, -1
# copy_to_user(a0 = space, a1 = source in the kernel, a2 = target, va of the program, a3 = bytes) -> a0 = 0, -1
# -1: the program may not access all of it; the bytes before are copied.
FUNCTION copy_from_user
    li a4, PTE_R
    j copy_user
END_FUNCTION copy_from_user

FUNCTION copy_to_user
    li a4, PTE_W
    j copy_user
END_FUNCTION copy_to_user

LOCAL_FUNCTION copy_user
    ENTER 6
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: in the kernel
    mv s3, a2                                   # s3: in the program
    mv s4, a3                                   # s4: bytes left
    mv s5, a4                                   # s5: access
.Lcopy_part:
    beqz s4, .Lall_copied
    mv a0, s1
    mv a1, s3
    mv a2, s5
    call user_page
    beqz a0, .Lcopy_failed
    mv s6, a1                                   # s6: bytes in this page
    bleu s6, s4, .Lpart_known
    mv s6, s4
.Lpart_known:
    mv a2, s6
    mv a1, s2
    li t0, PTE_R
    bne s5, t0, .Ldirection_known
    mv a1, a0
    mv a0, s2
.Ldirection_known:
    call copy_bytes
    add s2, s2, s6
    add s3, s3, s6
    sub s4, s4, s6
    j .Lcopy_part
.Lall_copied:
    li a0, 0
    LEAVE 6
.Lcopy_failed:
    li a0, -1
    LEAVE 6
END_FUNCTION copy_user

# copy_string_from_user(a0 = space, a1 = target in the kernel, a2 = va of the program, a3 = room) -> a0 = length, -1 when
# the program may not read it, or it does not end within the room (the NUL counts)
FUNCTION copy_string_from_user
    ENTER 5
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: where the next byte goes
    mv s3, a2                                   # s3: va of the next byte
    mv s4, a3                                   # s4: room left
    mv s5, a1                                   # s5: where the first one went
.Lstring_page:
    mv a0, s1
    mv a1, s3
    li a2, PTE_R
    call user_page
    beqz a0, .Lstring_failed
.Lstring_byte:
    beqz s4, .Lstring_failed
    lbu t0, 0(a0)
    sb t0, 0(s2)
    beqz t0, .Lstring_ends
    addi a0, a0, 1
    addi s2, s2, 1
    addi s3, s3, 1
    addi s4, s4, -1
    addi a1, a1, -1
    bnez a1, .Lstring_byte
    j .Lstring_page
.Lstring_failed:
    li a0, -1
    LEAVE 5
.Lstring_ends:
    sub a0, s2, s5
    LEAVE 5
END_FUNCTION copy_string_from_user
