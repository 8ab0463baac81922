# Page replacement: when frames run out, a page that is used little gives its own up and goes to the store.
#
# A table knows for each frame which page of which space lies in it, if that page is private and can come back: those that
# space_fault gives their frames. These residents form a ring in the order in which they were loaded. Frames with several
# owners stay where they are.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"
.include "mm/paging/replacement.inc"

.equ ROOM, 4                                    # free frames that make_room sees to: a page, its tables, and one more
.equ LEAST_RESIDENTS, 8                         # fewer would only take pages from the very instruction that needs them

# What lies in a frame
.equ RESIDENT_SPACE, 0                          # 0: nothing that can be replaced, and not in the ring
.equ RESIDENT_VPN, 8
.equ RESIDENT_PPN, 16
.equ RESIDENT_NEXT, 24                          # loaded later
.equ RESIDENT_PREVIOUS, 32
.equ RESIDENT_AGE, 40                           # sampled A bits, the latest the highest
.equ RESIDENT_SIZE, 48

VARIABLE replacement_policy
VARIABLE residents                              # address of the table, frame_first_ppn first
VARIABLE resident_ring, RESIDENT_SIZE           # head of the ring
VARIABLE resident_count                         # how many are in it
VARIABLE pages_stored                           # pages that went to the store
VARIABLE pages_fetched                          # pages that came back

.text

# replacement_init(a0 = policy, a1 = slots of the store) -> a0 = 0, -1 when there is no room for table and store
FUNCTION replacement_init
    ENTER 5
    mv s1, a0
    mv s2, a1
    la t0, frame_count
    ld s3, 0(t0)
    li t0, RESIDENT_SIZE
    mul s3, s3, t0                              # s3: bytes of the table
    add a0, s3, s2
    li t0, PAGE_SIZE - 1
    add a0, a0, t0
    srli a0, a0, PAGE_SHIFT
    mv s4, a0
    call frame_alloc_contiguous
    beqz a0, 1f
    mv s5, a0
    mv a0, s2
    call frame_alloc_contiguous
    beqz a0, 2f
    mv a1, s2
    PPN_TO_VA s5, s5, t0
    add a2, s5, s3
    call store_init
    la t0, residents
    sd s5, 0(t0)
    la t0, replacement_policy
    sd s1, 0(t0)
    la t0, resident_ring
    sd t0, RESIDENT_NEXT(t0)
    sd t0, RESIDENT_PREVIOUS(t0)
    la t0, resident_count
    sd zero, 0(t0)
    mv a0, s5
    add a1, s5, s3
    call fill_zero
    li a0, 0
    LEAVE 5
2:  mv a0, s5
    mv a1, s4
    call frame_dealloc_contiguous
1:  li a0, -1
    LEAVE 5
END_FUNCTION replacement_init

# resident(a0 = ppn) -> t0 = address of its entry in the table. Clobbers t1 only.
.type resident, @function
resident:
    la t0, frame_first_ppn
    ld t0, 0(t0)
    sub t1, a0, t0
    li t0, RESIDENT_SIZE
    mul t1, t1, t0
    la t0, residents
    ld t0, 0(t0)
    add t0, t0, t1
    ret
.size resident, . - resident

# ring_append(t0 = entry): it was loaded last. Clobbers t1 t2 only.
.type ring_append, @function
ring_append:
    la t1, resident_ring
    ld t2, RESIDENT_PREVIOUS(t1)
    sd t1, RESIDENT_NEXT(t0)
    sd t2, RESIDENT_PREVIOUS(t0)
    sd t0, RESIDENT_NEXT(t2)
    sd t0, RESIDENT_PREVIOUS(t1)
    ret
.size ring_append, . - ring_append

# ring_remove(t0 = entry). Clobbers t1 t2 only.
.type ring_remove, @function
ring_remove:
    ld t1, RESIDENT_NEXT(t0)
    ld t2, RESIDENT_PREVIOUS(t0)
    sd t1, RESIDENT_NEXT(t2)
    sd t2, RESIDENT_PREVIOUS(t1)
    ret
.size ring_remove, . - ring_remove

# forget(t0 = entry of a resident): nothing that can be replaced lies in the frame. Clobbers t1 t2 only.
.type forget, @function
forget:
    sd zero, RESIDENT_SPACE(t0)
    la t1, resident_count
    ld t2, 0(t1)
    addi t2, t2, -1
    sd t2, 0(t1)
    j ring_remove
.size forget, . - forget

# page_loaded(a0 = ppn, a1 = space, a2 = vpn): this page lies in the frame, and could be replaced
FUNCTION page_loaded
    la t0, replacement_policy
    ld t0, 0(t0)
    beqz t0, 2f
    ENTER
    call resident
    ld t1, RESIDENT_SPACE(t0)
    beqz t1, 1f
    call forget                                 # it was another's, with whom the frame was shared
1:  sd a1, RESIDENT_SPACE(t0)
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
2:  ret
END_FUNCTION page_loaded

# page_gone(a0 = ppn, a1 = space) -> a0 unchanged: the space does not map the frame any more
FUNCTION page_gone
    la t0, replacement_policy
    ld t0, 0(t0)
    beqz t0, 2f
    ENTER
    call resident
    ld t1, RESIDENT_SPACE(t0)
    bne t1, a1, 1f
    call forget
1:  LEAVE
2:  ret
END_FUNCTION page_gone

# make_room(): sees to it that a few frames are free, if there is a policy, pages that can be replaced, and room for them
FUNCTION make_room
    la t0, replacement_policy
    ld t0, 0(t0)
    beqz t0, 2f
    ENTER
1:  la t0, frame_count
    ld t0, 0(t0)
    la t1, frame_used
    ld t1, 0(t1)
    sub t0, t0, t1
    li t1, ROOM
    bgeu t0, t1, 3f
    la t0, resident_count
    ld t0, 0(t0)
    li t1, LEAST_RESIDENTS
    bleu t0, t1, 3f
    call choose_page
    beqz a0, 3f
    call store_page
    beqz a0, 1b
3:  LEAVE
2:  ret
END_FUNCTION make_room

# choose_page() -> a0 = entry of the resident that is to be replaced, 0 when there is none: O(residents)
.type choose_page, @function
choose_page:
    ENTER 8
    la s2, resident_ring                        # s2: head of the ring
    ld s8, RESIDENT_NEXT(s2)                    # s8: the resident to look at
    la t0, replacement_policy
    ld s1, 0(t0)                                # s1: policy
    li s3, 0                                    # s3: LRU: the best so far
    li s4, -1                                   # s4: and its age
    la t0, resident_count
    ld s5, 0(t0)
    slli s5, s5, 1                              # s5: looks that are left: the clock goes round twice at most
.Llook:
    beq s8, s2, .Lround
    ld a0, RESIDENT_PPN(s8)
    call frame_owners
    addi s6, a0, -1                             # s6: 0 when it can be replaced
    li t0, REPLACE_CLOCK
    beq s1, t0, .Lclock
    bnez s6, .Lnext
    li t0, REPLACE_FIFO
    beq s1, t0, .Lthis
    call sample_access                          # LRU: all are sampled, the oldest is taken
    slli a0, a0, 63
    ld t0, RESIDENT_AGE(s8)
    srli t0, t0, 1
    or a0, a0, t0
    sd a0, RESIDENT_AGE(s8)
    bgeu a0, s4, .Lnext
    mv s4, a0
    mv s3, s8
.Lnext:
    ld s8, RESIDENT_NEXT(s8)
    j .Llook
.Lclock:
    beqz s5, .Lround
    addi s5, s5, -1
    bnez s6, 1f
    call sample_access
    beqz a0, .Lthis
1:  mv t0, s8                                   # accessed: a second chance, behind all others
    ld s8, RESIDENT_NEXT(s8)
    call ring_remove
    call ring_append
    j .Llook
.Lthis:
    mv s3, s8
.Lround:
    mv a0, s3
    LEAVE 8
.size choose_page, . - choose_page

# sample_access(s8 = entry) -> a0 = 1 when the page was accessed since the last time, else 0; its A bit is clear afterwards
.type sample_access, @function
sample_access:
    ENTER
    call pte_of_resident
    ld t0, 0(a0)
    andi t1, t0, PTE_A
    andi t0, t0, ~PTE_A
    sd t0, 0(a0)
    ld t0, RESIDENT_VPN(s8)
    slli t0, t0, PAGE_SHIFT
    ld t2, RESIDENT_SPACE(s8)
    ld t2, SPACE_ASID(t2)
    sfence.vma t0, t2                           # a cached translation would set no A bit
    snez a0, t1
    LEAVE
.size sample_access, . - sample_access

# pte_of_resident(s8 = entry) -> a0 = address of the PTE
.type pte_of_resident, @function
pte_of_resident:
    ld a0, RESIDENT_SPACE(s8)
    ld a0, SPACE_ROOT(a0)
    ld a1, RESIDENT_VPN(s8)
    j find_pte
.size pte_of_resident, . - pte_of_resident

# store_page(a0 = entry of a resident) -> a0 = 0, -1 when the store is full: the page goes to the store, the frame is free
.type store_page, @function
store_page:
    ENTER 8
    mv s8, a0
    ld s1, RESIDENT_PPN(s8)
    mv a0, s1
    call store_put
    bltz a0, 1f
    mv s2, a0                                   # s2: slot
    call pte_of_resident
    ld t0, 0(a0)
    andi t0, t0, 0xff & ~PTE_V
    ori t0, t0, PTE_STORED
    slli t1, s2, PTE_PPN_SHIFT
    or t0, t0, t1
    sd t0, 0(a0)
    ld t0, RESIDENT_VPN(s8)
    slli t0, t0, PAGE_SHIFT
    ld t1, RESIDENT_SPACE(s8)
    ld t1, SPACE_ASID(t1)
    sfence.vma t0, t1
    mv t0, s8
    call forget
    mv a0, s1
    call frame_dealloc
    la t0, pages_stored
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
    li a0, 0
1:  LEAVE 8
.size store_page, . - store_page

# fetch_page(a0 = space, a1 = vpn, a2 = address of its PTE, which has PTE_STORED) -> a0 = 0, -1 when there is no frame
# The page is mapped again as it was. The caller fences.
FUNCTION fetch_page
    ENTER 4
    mv s1, a0
    mv s2, a1
    mv s3, a2
    call make_room
    call frame_alloc
    beqz a0, 1f
    mv s4, a0
    mv a1, a0
    ld a0, 0(s3)
    srli a0, a0, PTE_PPN_SHIFT
    call store_get
    ld t0, 0(s3)
    andi t0, t0, 0xff
    ori t0, t0, PTE_V | PTE_A
    slli t1, s4, PTE_PPN_SHIFT
    or t0, t0, t1
    sd t0, 0(s3)
    mv a0, s4
    mv a1, s1
    mv a2, s2
    call page_loaded
    la t0, pages_fetched
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
    li a0, 0
    LEAVE 4
1:  li a0, -1
    LEAVE 4
END_FUNCTION fetch_page

# stored_page(a0 = what find_pte gave for a page, 0; a1 = its level; a2 = the PTE's address) -> a0 = 1 when the page lies in
# the store, else 0. Clobbers t0 only.
FUNCTION stored_page
    bnez a0, 1f
    bnez a1, 1f
    ld t0, 0(a2)
    andi t0, t0, PTE_STORED
    snez a0, t0
    ret
1:  li a0, 0
    ret
END_FUNCTION stored_page
