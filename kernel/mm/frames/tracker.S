# Frame allocator: an array of frame trackers (002). A frame is found by looking at them in order: the lowest free one.
#
# Each tracker holds the frame's physical address, how many refer to it, and whether it is in use.
# Space: 16 bytes a frame, 16 MiB for 4 GiB of memory. Time: O(memory) to allocate, one look at each tracker below the
# frame that is found; O(1) to free. frame_init writes every tracker.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ ENTRY_SHIFT, 4
.equ TRACKER_PA, 0                              # physical address, a doubleword
.equ ENTRY_OWNERS, 8                            # reference count, a word
.equ TRACKER_IN_USE, 12                         # 1 or 0, a word

.text

LOCAL_FUNCTION policy_bytes
    li a0, 0                                    # all is in the entries
    ret
END_FUNCTION policy_bytes

LOCAL_FUNCTION policy_init
    la t0, frame_entries
    ld t0, 0(t0)                                # t0: the tracker
    la t1, frame_first_ppn
    ld t1, 0(t1)
    slli t1, t1, PAGE_SHIFT                     # t1: the frame's address
    slli t2, a1, ENTRY_SHIFT
    add t2, t0, t2                              # t2: behind the last tracker
    li t3, PAGE_SIZE
.Lwrite_address:
    sd t1, TRACKER_PA(t0)
    add t1, t1, t3
    addi t0, t0, 1 << ENTRY_SHIFT
    bne t0, t2, .Lwrite_address
    ret
END_FUNCTION policy_init

LOCAL_FUNCTION policy_take
    ENTER 1
    mv a1, a0
    call find_free_run
    bltz a0, .Lno_frame_free
    mv s1, a0                                   # s1: number of the first
    li a2, 1
    call set_in_use
    mv a0, s1
.Lno_frame_free:
    LEAVE 1
END_FUNCTION policy_take

LOCAL_FUNCTION policy_give
    li a2, 0
    j set_in_use
END_FUNCTION policy_give

# set_in_use(a0 = number of the first, a1 = n, a2 = 1 or 0)
LOCAL_FUNCTION set_in_use
    la t0, frame_entries
    ld t0, 0(t0)
    slli a0, a0, ENTRY_SHIFT
    add a0, t0, a0                              # a0: the tracker
    slli a1, a1, ENTRY_SHIFT
    add a1, a0, a1                              # a1: behind the last one
.Lmark_tracker:
    sw a2, TRACKER_IN_USE(a0)
    addi a0, a0, 1 << ENTRY_SHIFT
    bne a0, a1, .Lmark_tracker
    ret
END_FUNCTION set_in_use

STRING frame_allocator_name, "tracker"
.include "mm/frames/allocator.inc"
.include "mm/frames/free_run.inc"
