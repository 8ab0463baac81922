# Residents: the pages that can lose their frames, because they are private and space_fault gave them theirs. A table knows
# for each frame which page of which space lies in it; in a ring they stand in the order in which they were loaded.
# Frames with several owners stay where they are.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/replacement.inc"

VARIABLE residents                              # address of the table, frame_first_ppn first
VARIABLE resident_ring, RESIDENT_SIZE           # head of the ring
VARIABLE resident_count                         # how many are in it

.text

# residents_bytes() -> a0 = bytes of a table for all frames
FUNCTION residents_bytes
    la t0, frame_count
    ld a0, 0(t0)
    li t0, RESIDENT_SIZE
    mul a0, a0, t0
    ret
END_FUNCTION residents_bytes

# residents_init(a0 = address of the table): there are none
FUNCTION residents_init
    ENTER 1
    mv s1, a0                                   # s1: the table
    la t0, residents
    sd a0, 0(t0)
    la t0, resident_ring
    sd t0, RESIDENT_NEXT(t0)
    sd t0, RESIDENT_PREVIOUS(t0)
    la t0, resident_count
    sd zero, 0(t0)
    call residents_bytes
    add a1, s1, a0
    mv a0, s1
    call fill_zero
    LEAVE 1
END_FUNCTION residents_init

# resident(a0 = ppn) -> t0 = address of its entry in the table. Clobbers t1 only.
LOCAL_FUNCTION resident
    la t0, frame_first_ppn
    ld t0, 0(t0)
    sub t1, a0, t0                              # t1: number of the frame
    li t0, RESIDENT_SIZE
    mul t1, t1, t0
    la t0, residents
    ld t0, 0(t0)
    add t0, t0, t1
    ret
END_FUNCTION resident

# ring_append(t0 = entry): it was loaded last. Clobbers t1 t2 only.
LOCAL_FUNCTION ring_append
    la t1, resident_ring
    ld t2, RESIDENT_PREVIOUS(t1)                # t2: the one that was last
    sd t1, RESIDENT_NEXT(t0)
    sd t2, RESIDENT_PREVIOUS(t0)
    sd t0, RESIDENT_NEXT(t2)
    sd t0, RESIDENT_PREVIOUS(t1)
    ret
END_FUNCTION ring_append

# ring_remove(t0 = entry). Clobbers t1 t2 only.
LOCAL_FUNCTION ring_remove
    ld t1, RESIDENT_NEXT(t0)
    ld t2, RESIDENT_PREVIOUS(t0)
    sd t1, RESIDENT_NEXT(t2)
    sd t2, RESIDENT_PREVIOUS(t1)
    ret
END_FUNCTION ring_remove

# forget(t0 = entry of a resident): nothing that can be replaced lies in the frame. Clobbers t1 t2 only.
LOCAL_FUNCTION forget
    sd zero, RESIDENT_SPACE(t0)
    la t1, resident_count
    ld t2, 0(t1)
    addi t2, t2, -1
    sd t2, 0(t1)
    j ring_remove
END_FUNCTION forget

# page_loaded(a0 = ppn, a1 = space, a2 = vpn): this page lies in the frame, and could be replaced
FUNCTION page_loaded
    la t0, replacement_policy
    ld t0, 0(t0)
    beqz t0, .Lnot_tracked
    ENTER
    call resident
    ld t1, RESIDENT_SPACE(t0)
    beqz t1, .Lrecord
    call forget                                 # it was another's, with whom the frame was shared
.Lrecord:
    sd a1, RESIDENT_SPACE(t0)
    sd a2, RESIDENT_VPN(t0)
    sd a0, RESIDENT_PPN(t0)
    li t1, -1
    sd t1, RESIDENT_AGE(t0)
    call ring_append
    la t1, resident_count
    ld t2, 0(t1)
    addi t2, t2, 1
    sd t2, 0(t1)
    LEAVE
.Lnot_tracked:
    ret
END_FUNCTION page_loaded

# page_gone(a0 = ppn, a1 = space) -> a0 unchanged: the space does not map the frame any more
FUNCTION page_gone
    la t0, replacement_policy
    ld t0, 0(t0)
    beqz t0, .Lgone_untracked
    ENTER
    call resident
    ld t1, RESIDENT_SPACE(t0)
    bne t1, a1, .Lnot_resident
    call forget
.Lnot_resident:
    LEAVE
.Lgone_untracked:
    ret
END_FUNCTION page_gone

# resident_again(a0 = entry): as if it were loaded last
FUNCTION resident_again
    ENTER
    mv t0, a0
    call ring_remove
    call ring_append
    LEAVE
END_FUNCTION resident_again
