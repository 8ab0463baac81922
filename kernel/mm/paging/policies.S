# Replacement policies: which resident is to lose its frame. Only one whose frame has no other owner can.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"
.include "mm/paging/replacement.inc"

.equ SAMPLE_PERIOD, 16                          # LRU looks at all A bits once in so many replacements, a power of 2

.text

# choose_page(a0 = policy) -> a0 = entry of the resident that is to be replaced, 0 when there is none
FUNCTION choose_page
    li t0, REPLACE_FIFO
    beq a0, t0, choose_first
    li t0, REPLACE_CLOCK
    beq a0, t0, choose_by_clock
    j choose_oldest
END_FUNCTION choose_page

# choose_first() -> a0 = the resident that was loaded first, or 0. Time: O(1), and O(residents) where frames are shared.
LOCAL_FUNCTION choose_first
    ENTER 1
    la t0, resident_ring
    ld s1, RESIDENT_NEXT(t0)                    # s1: the resident to ask
.Ltry_first:
    la t0, resident_ring
    beq s1, t0, .Lnone_first
    mv a0, s1
    call can_be_replaced
    bnez a0, .Lchosen_first
    ld s1, RESIDENT_NEXT(s1)
    j .Ltry_first
.Lnone_first:
    li s1, 0
.Lchosen_first:
    mv a0, s1
    LEAVE 1
END_FUNCTION choose_first

# choose_by_clock() -> a0 = the first resident that was not accessed since the hand came by, or 0
# An accessed one gets a second chance, behind all others; so the hand goes round twice at most. Time: O(residents).
LOCAL_FUNCTION choose_by_clock
    ENTER 2
    la t0, resident_count
    ld s2, 0(t0)
    slli s2, s2, 1                              # s2: looks that are left
.Llook:
    beqz s2, .Lnone_by_clock
    addi s2, s2, -1
    la t0, resident_ring
    ld s1, RESIDENT_NEXT(t0)                    # s1: the resident at the hand
    mv a0, s1
    call can_be_replaced
    beqz a0, .Ladvance_hand
    mv a0, s1
    call take_access
    mv t0, a0                                   # t0: whether it was accessed
    mv a0, s1
    beqz t0, .Lchosen_by_clock
    ld t0, RESIDENT_VPN(s1)
    slli t0, t0, PAGE_SHIFT                     # t0: va
    ld t1, RESIDENT_SPACE(s1)
    ld t1, SPACE_ASID(t1)                       # t1: asid
    sfence.vma t0, t1                           # a cached translation would set no A bit
.Ladvance_hand:
    mv a0, s1
    call resident_again
    j .Llook
.Lnone_by_clock:
    li a0, 0
.Lchosen_by_clock:
    LEAVE 2
END_FUNCTION choose_by_clock

# choose_oldest() -> a0 = the resident whose accesses lie back farthest, of several the one loaded first; or 0
# Time: O(residents), and once in SAMPLE_PERIOD replacements a walk for each.
LOCAL_FUNCTION choose_oldest
    ENTER 3
    la t0, pages_stored
    ld t0, 0(t0)
    andi t0, t0, SAMPLE_PERIOD - 1
    bnez t0, .Lfrom_first
    call sample_all
.Lfrom_first:
    la t0, resident_ring
    ld s1, RESIDENT_NEXT(t0)                    # s1: the resident to compare
    li s2, 0                                    # s2: the oldest so far
    li s3, -1                                   # s3: its age; the smaller the older
.Lcompare_ages:
    la t0, resident_ring
    beq s1, t0, .Loldest_known
    ld t0, RESIDENT_AGE(s1)
    bgtu t0, s3, .Lnext_resident
    beqz s2, .Lconsider
    beq t0, s3, .Lnext_resident
.Lconsider:
    mv a0, s1
    call can_be_replaced
    beqz a0, .Lnext_resident
    mv s2, s1
    ld s3, RESIDENT_AGE(s1)
.Lnext_resident:
    ld s1, RESIDENT_NEXT(s1)
    j .Lcompare_ages
.Loldest_known:
    mv a0, s2
    LEAVE 3
END_FUNCTION choose_oldest

# sample_all(): the A bit of each resident becomes the highest bit of its age, and is clear
LOCAL_FUNCTION sample_all
    ENTER 1
    la t0, resident_ring
    ld s1, RESIDENT_NEXT(t0)                    # s1: the resident
.Lsample:
    la t0, resident_ring
    beq s1, t0, .Lsampled
    mv a0, s1
    call take_access
    slli a0, a0, 63                             # a0: its age from now on
    ld t0, RESIDENT_AGE(s1)
    srli t0, t0, 1
    or a0, a0, t0
    sd a0, RESIDENT_AGE(s1)
    ld s1, RESIDENT_NEXT(s1)
    j .Lsample
.Lsampled:
    sfence.vma                                  # cached translations would set no A bits
    LEAVE 1
END_FUNCTION sample_all

# take_access(a0 = entry) -> a0 = 1 when the page was accessed since the last time, else 0; its A bit is clear afterwards.
# The caller fences.
LOCAL_FUNCTION take_access
    ENTER
    ld t0, RESIDENT_SPACE(a0)
    ld a1, RESIDENT_VPN(a0)
    ld a0, SPACE_ROOT(t0)
    call find_pte
    ld t0, 0(a0)                                # t0: the PTE
    andi t1, t0, PTE_A
    andi t0, t0, ~PTE_A
    sd t0, 0(a0)
    snez a0, t1
    LEAVE
END_FUNCTION take_access

# can_be_replaced(a0 = entry) -> a0 = 1 or 0
LOCAL_FUNCTION can_be_replaced
    ENTER
    ld a0, RESIDENT_PPN(a0)
    call frame_owners
    addi a0, a0, -1
    seqz a0, a0
    LEAVE
END_FUNCTION can_be_replaced
