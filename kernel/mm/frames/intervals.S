# Frame allocator: a stack of intervals (000, 001: StackedAllocator). At first it holds [(0, n)]; a frame is the start
# of the interval on top, and a frame i that is freed goes on top as (i, i + 1).
#
# Space: 12 bytes a frame, 4 for its owners and 8 for an interval, because in the worst case all frames were handed out
# and then freed one by one. Time: O(1) to allocate a frame, and to free one or several that are consecutive. Contiguous
# frames come from the first interval from the top that is long enough: O(intervals). When none is, neighbours among the
# intervals may still be a run: then the lowest free run is taken, and the intervals are made anew: O(memory).
.include "lib/abi.inc"
.include "lib/page.inc"

.equ ENTRY_SHIFT, 2
.equ ENTRY_OWNERS, 0

# An interval
.equ INTERVAL_START, 0                          # number of its first frame, a word
.equ INTERVAL_END, 4                            # behind its last, a word
.equ INTERVAL_SHIFT, 3
.equ INTERVAL_SIZE, 1 << INTERVAL_SHIFT

VARIABLE intervals                              # address of the lowest interval of the stack
VARIABLE intervals_length

.text

LOCAL_FUNCTION policy_bytes
    slli a0, a0, INTERVAL_SHIFT
    ret
END_FUNCTION policy_bytes

LOCAL_FUNCTION policy_init
    la t0, intervals
    sd a0, 0(t0)
    sw zero, INTERVAL_START(a0)
    sw a1, INTERVAL_END(a0)
    la t0, intervals_length
    li t1, 1
    sd t1, 0(t0)
    ret
END_FUNCTION policy_init

# Called only when enough frames are free: the stack is not empty.
LOCAL_FUNCTION policy_take
    la t0, intervals
    ld t0, 0(t0)                                # t0: the lowest interval
    la t1, intervals_length
    ld t2, 0(t1)
    slli t2, t2, INTERVAL_SHIFT
    add t2, t0, t2                              # t2: behind the top
    mv t3, t2                                   # t3: behind the interval to look at
.Llook_at_interval:
    beq t3, t0, take_joined_run
    addi t3, t3, -INTERVAL_SIZE
    lwu t4, INTERVAL_START(t3)                  # t4, t5: its start and end
    lwu t5, INTERVAL_END(t3)
    sub t6, t5, t4                              # t6: its frames
    bltu t6, a0, .Llook_at_interval
    add t6, t4, a0
    sw t6, INTERVAL_START(t3)
    mv a0, t4
    bne t6, t5, .Ltaken

    # Nothing is left of it: those above move down.
    addi t2, t2, -INTERVAL_SIZE
    sub t0, t2, t0
    srli t0, t0, INTERVAL_SHIFT
    sd t0, 0(t1)
.Lmove_down:
    beq t3, t2, .Ltaken
    ld t0, INTERVAL_SIZE(t3)
    sd t0, 0(t3)
    addi t3, t3, INTERVAL_SIZE
    j .Lmove_down
.Ltaken:
    ret
END_FUNCTION policy_take

# take_joined_run(a0 = n) -> a0 = number of the first frame or -1: the lowest free run, whatever intervals it lies in
LOCAL_FUNCTION take_joined_run
    ENTER 2
    mv s1, a0                                   # s1: frames wanted
    call find_free_run
    mv s2, a0                                   # s2: number of the first, negative when there is none
    bltz a0, .Lno_run_joined
    mv a1, s1
    li a2, 1
    call set_owners                             # so that join_intervals leaves the run out
    call join_intervals
.Lno_run_joined:
    mv a0, s2
    LEAVE 2
END_FUNCTION take_joined_run

# join_intervals(): makes the stack anew from the owners, one interval for each run of free frames, the lowest on top
LOCAL_FUNCTION join_intervals
    la t0, intervals
    ld t0, 0(t0)                                # t0: where the next interval goes
    la t1, frame_entries
    ld t1, 0(t1)
    la t2, frame_count
    ld t2, 0(t2)                                # t2: behind the frame to look at
    slli t3, t2, ENTRY_SHIFT
    add t1, t1, t3                              # t1: behind its entry
    li t3, 0                                    # t3: whether the frame above it is free
.Llook_at_frame_below:
    beqz t2, .Ljoined
    addi t2, t2, -1
    addi t1, t1, -(1 << ENTRY_SHIFT)
    lw t4, ENTRY_OWNERS(t1)
    seqz t4, t4                                 # t4: whether this frame is free
    beqz t4, .Linterval_ends
    sw t2, INTERVAL_START(t0)
    bnez t3, .Llook_at_frame_below              # the interval reaches one frame further down
    addi t5, t2, 1
    sw t5, INTERVAL_END(t0)
    li t3, 1
    j .Llook_at_frame_below
.Linterval_ends:
    beqz t3, .Llook_at_frame_below
    li t3, 0
    addi t0, t0, INTERVAL_SIZE
    j .Llook_at_frame_below
.Ljoined:
    slli t3, t3, INTERVAL_SHIFT                 # the lowest interval may reach down to frame 0
    add t0, t0, t3
    la t1, intervals
    ld t1, 0(t1)
    sub t0, t0, t1
    srli t0, t0, INTERVAL_SHIFT                 # t0: how many intervals there are
    la t1, intervals_length
    sd t0, 0(t1)
    ret
END_FUNCTION join_intervals

LOCAL_FUNCTION policy_give
    la t0, intervals_length
    ld t1, 0(t0)
    addi t2, t1, 1
    sd t2, 0(t0)
    la t0, intervals
    ld t0, 0(t0)
    slli t1, t1, INTERVAL_SHIFT
    add t0, t0, t1
    add a1, a0, a1                              # a1: behind the last frame
    sw a0, INTERVAL_START(t0)
    sw a1, INTERVAL_END(t0)
    ret
END_FUNCTION policy_give

STRING frame_allocator_name, "intervals"
.include "mm/frames/allocator.inc"
.include "mm/frames/free_run.inc"
