# Frame allocator: a stack of recycled frames (003: StackFrameAllocator). The frame that was freed last is next; when
# none is, the lowest one that was never handed out.
#
# Frames from `current` to `end` were never handed out; those below it that are free lie on the stack `recycled`.
# Space: 8 bytes a frame, 4 for its owners and 4 for the day on which all are recycled. Time: O(1) to allocate and to
# free, as double frees are found by the owners, where 003 searched the stack. Contiguous frames are O(1) from those
# never handed out; when these are too few, O(memory) for the lowest free run.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ ENTRY_SHIFT, 2
.equ ENTRY_OWNERS, 0

VARIABLE stack_current                          # number of the lowest frame that was never handed out
VARIABLE stack_end                              # behind the last frame
VARIABLE stack_recycled                         # address of the numbers of recycled frames, words
VARIABLE stack_recycled_length

.text

LOCAL_FUNCTION policy_bytes
    slli a0, a0, 2
    ret
END_FUNCTION policy_bytes

LOCAL_FUNCTION policy_init
    la t0, stack_current
    sd zero, 0(t0)
    la t0, stack_end
    sd a1, 0(t0)
    la t0, stack_recycled
    sd a0, 0(t0)
    la t0, stack_recycled_length
    sd zero, 0(t0)
    ret
END_FUNCTION policy_init

LOCAL_FUNCTION policy_take
    li t0, 1
    bne a0, t0, .Lnever_handed_out
    la t0, stack_recycled_length
    ld t1, 0(t0)
    beqz t1, .Lnever_handed_out
    addi t1, t1, -1
    sd t1, 0(t0)
    la t0, stack_recycled
    ld t0, 0(t0)
    slli t1, t1, 2
    add t0, t0, t1
    lwu a0, 0(t0)
    ret
.Lnever_handed_out:
    la t0, stack_current
    ld t1, 0(t0)
    la t2, stack_end
    ld t2, 0(t2)
    sub t2, t2, t1                              # t2: frames that were never handed out
    bgtu a0, t2, take_recycled_run
    add t2, t1, a0                              # t2: the lowest one from now on
    sd t2, 0(t0)
    mv a0, t1
    ret
END_FUNCTION policy_take

# take_recycled_run(a0 = n) -> a0 = number of the first frame or -1: the lowest free run; it begins among the recycled
LOCAL_FUNCTION take_recycled_run
    ENTER 1
    mv s1, a0                                   # s1: frames wanted
    call find_free_run
    bltz a0, .Lrun_taken
    # Take its frames out of the stack; the others keep their order.
    la t0, stack_recycled
    ld t0, 0(t0)                                # t0: next to look at
    la t1, stack_recycled_length
    ld t2, 0(t1)
    slli t2, t2, 2
    add t2, t0, t2                              # t2: end of the stack
    mv t3, t0                                   # t3: next to write
.Lfilter:
    beq t0, t2, .Lfiltered
    lwu t4, 0(t0)
    addi t0, t0, 4
    sub t5, t4, a0
    bltu t5, s1, .Lfilter
    sw t4, 0(t3)
    addi t3, t3, 4
    j .Lfilter
.Lfiltered:
    la t0, stack_recycled
    ld t0, 0(t0)
    sub t3, t3, t0
    srli t3, t3, 2                              # t3: how many are left on the stack
    sd t3, 0(t1)
    # It may end among those never handed out.
    add t1, a0, s1                              # t1: behind the run
    la t0, stack_current
    ld t2, 0(t0)
    bleu t1, t2, .Lrun_taken
    sd t1, 0(t0)
.Lrun_taken:
    LEAVE 1
END_FUNCTION take_recycled_run

# Several frames are recycled in ascending order: the highest is the next.
LOCAL_FUNCTION policy_give
    la t0, stack_recycled_length
    ld t1, 0(t0)                                # t1: length before
    add t2, t1, a1
    sd t2, 0(t0)
    la t0, stack_recycled
    ld t0, 0(t0)
    slli t1, t1, 2
    add t0, t0, t1                              # t0: where the next number goes
.Lpush:
    sw a0, 0(t0)
    addi t0, t0, 4
    addi a0, a0, 1
    addi a1, a1, -1
    bnez a1, .Lpush
    ret
END_FUNCTION policy_give

STRING frame_allocator_name, "stack"
.include "mm/frames/allocator.inc"
.include "mm/frames/free_run.inc"
