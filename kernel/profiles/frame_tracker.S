# Profile frame-tracker (002): an array of trackers over 4 GiB, and a heap that can be filled and emptied for ever.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

.equ FRAMES, 16
.equ ROW, 5                                     # frames that are freed in a row
.equ ROW_FIRST, 4                               # the first of them
.equ OTHER, 12                                  # and then this one
.equ USER_VA, 0x30000000                        # where 002 lets the user's part begin
.equ BLOCK, 4096
.equ BLOCKS, 300                                # more of them than the heap in .bss has room for
.equ ROUNDS, 3

.text

# profile_main(a0 = hart id, a1 = physical address of the device tree)
FUNCTION profile_main
    ENTER 2
    PA_TO_VA a0, a1, t0
    call device_tree_memory
    beqz a1, .Lno_memory
    mv s1, a0
    mv s2, a1
    call kernel_end_ppn
    add a1, s1, s2
    call frames_start
    call frame_total
    mv a1, a0
    srli a2, s2, 20
    la a0, line_frames
    call printf
    la a0, heap_space
    li a1, HEAP_SIZE
    call heap_init
    li a0, 0
    call kernel_space_init
    call tracker_test
    call heap_filling_test
    LEAVE 2
.Lno_memory:
    la a0, message_no_memory
    call panic
END_FUNCTION profile_main

# tracker_test(): frees five frames in a row and another one, allocates six again, and maps them in a row
LOCAL_FUNCTION tracker_test
    ENTER 5
    la t0, kernel_space
    ld t0, 0(t0)
    ld s4, SPACE_ROOT(t0)                       # s4: the page table
    mv a0, s4
    li a1, USER_VA >> PAGE_SHIFT
    li a2, 0
    call find_pte_create                        # its tables now: they shall not take the frames that are freed below
    beqz a0, .Lno_frame
    call frame_in_use
    mv s5, a0
    li a0, FRAMES
    call frame_alloc_contiguous
    beqz a0, .Lno_frame
    mv s1, a0                                   # s1: the first of all
    li a1, FRAMES
    mv a2, a0
    la a0, line_allocated
    call printf
    addi a0, s1, ROW_FIRST
    li a1, ROW
    call frame_dealloc_contiguous
    addi a0, s1, OTHER
    call frame_dealloc
    li a1, ROW
    addi a2, s1, ROW_FIRST
    addi a3, s1, OTHER
    la a0, line_freed
    call printf

    li s2, 0
.Lmap_each:
    call frame_alloc
    beqz a0, .Lno_frame
    mv s3, a0
    li a1, USER_VA >> PAGE_SHIFT
    add a1, a1, s2
    mv a0, s4
    mv a2, s3
    li a3, PTE_R | PTE_W | PTE_A | PTE_D
    call map_page
    bnez a0, .Lno_frame
    slli t0, s2, PAGE_SHIFT
    li a1, USER_VA
    add a1, a1, t0
    sfence.vma a1, zero
    sd s2, 0(a1)                                # through the mapping, so it must be there
    mv a0, s4
    call translate
    mv a2, a0
    slli t0, s2, PAGE_SHIFT
    li a1, USER_VA
    add a1, a1, t0
    mv a3, s3
    la a0, line_mapped
    call printf
    addi s2, s2, 1
    li t0, ROW + 1
    bne s2, t0, .Lmap_each

.Lunmap_each:
    addi s2, s2, -1
    mv a0, s4
    li a1, USER_VA >> PAGE_SHIFT
    add a1, a1, s2
    call unmap_page
    slli a0, a0, PAGE_SHIFT
    call frame_find                             # 002: unmap returns the tracker that belongs to the address
    call frame_unref
    bnez s2, .Lunmap_each
    mv a0, s1
    li a1, ROW_FIRST
    call frame_dealloc_contiguous
    addi a0, s1, ROW_FIRST + ROW
    li a1, OTHER - ROW_FIRST - ROW
    call frame_dealloc_contiguous
    addi a0, s1, OTHER + 1
    li a1, FRAMES - OTHER - 1
    call frame_dealloc_contiguous
    call frame_in_use
    sub a1, a0, s5
    la a0, line_unmapped
    call printf
    LEAVE 5
.Lno_frame:
    la a0, message_no_frame
    call panic
END_FUNCTION tracker_test

# heap_filling_test(): fills the heap with blocks until it has grown, and empties it, again and again, in changing order
# The blocks are linked through their first words, so that no other memory is needed.
LOCAL_FUNCTION heap_filling_test
    ENTER 6
    call heap_largest_free
    mv s1, a0                                   # s1: the largest block of the beginning
    call frame_in_use
    mv s6, a0                                   # s6: frames in use in the beginning
    li s5, ROUNDS
.Lround:
    li s2, 0                                    # s2: the last block so far
    li s3, BLOCKS                               # s3: how many are to come
.Lfill:
    li a0, BLOCK
    li a1, 8
    call heap_alloc
    beqz a0, .Lno_frame
    sd s2, 0(a0)
    mv s2, a0
    addi s3, s3, -1
    bnez s3, .Lfill
    call heap_total
    srli s3, a0, 10                             # s3: KiB of the heap
    mv s4, s2                                   # first every other block, then the ones between
.Lfree_every_other:
    beqz s4, .Lfree_rest
    ld a0, 0(s4)
    beqz a0, .Lfree_rest
    ld t0, 0(a0)
    sd t0, 0(s4)
    mv s4, t0
    li a1, BLOCK
    li a2, 8
    call heap_dealloc
    j .Lfree_every_other
.Lfree_rest:
    beqz s2, .Lall_freed
    mv a0, s2
    ld s2, 0(s2)
    li a1, BLOCK
    li a2, 8
    call heap_dealloc
    j .Lfree_rest
.Lall_freed:
    call heap_largest_free
    bne a0, s1, .Lwrong_heap
    srli s4, a0, 10
    call frame_in_use
    bne a0, s6, .Lwrong_heap
    mv a4, s4
    mv a3, s3
    li a1, BLOCKS
    li a2, BLOCK
    la a0, line_heap
    call printf
    addi s5, s5, -1
    bnez s5, .Lround
    LEAVE 6
.Lwrong_heap:
    la a0, message_heap
    call panic
END_FUNCTION heap_filling_test

STRING line_frames, "frame tracker: %d frames, %d MiB of memory\n"
STRING line_allocated, "allocated %d frames from PPN=%p\n"
STRING line_freed, "freed %d from PPN=%p, and PPN=%p\n"
STRING line_mapped, "la2pa(%p) = %p: PPN=%p\n"
STRING line_unmapped, "unmapped, all freed; still in use: %d\n"
STRING line_heap, "heap filled with %d blocks of %d bytes (%d KiB) and emptied: largest free block %d KiB again\n"
STRING message_no_frame, "no available frame to allocate"
STRING message_no_memory, "the device tree names no memory"
STRING message_heap, "heap: after all blocks were freed, the largest one is not whole again, or frames are missing"
