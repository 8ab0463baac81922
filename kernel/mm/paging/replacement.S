# Page replacement: when frames run out, a page that is used little gives its own up and goes to the store; it comes back
# with the next access to it. residents.S knows the pages, policies.S chooses one, store.S keeps it.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"
.include "mm/paging/replacement.inc"

.equ ROOM, 4                                    # free frames that make_room sees to: a page, its tables, and one more
.equ LEAST_RESIDENTS, 8                         # fewer would only take pages from the very instruction that needs them

VARIABLE replacement_policy
VARIABLE pages_stored                           # pages that went to the store
VARIABLE pages_fetched                          # pages that came back

.text

# replacement_init(a0 = policy, a1 = slots of the store, at most STORE_PAGES) -> a0 = 0, -1 when there is no store: it says
# why in one line, and all pages stay in memory, as with REPLACE_NEVER
FUNCTION replacement_init
    ENTER 4
    mv s1, a0                                   # s1: policy
    mv s2, a1                                   # s2: slots
    beqz a0, .Linitialised
    call residents_bytes
    li t0, PAGE_SIZE - 1
    add a0, a0, t0
    srli s3, a0, PAGE_SHIFT                     # s3: frames of the table of residents
    mv a0, s3
    call frame_alloc_contiguous
    la t0, reason_no_room
    beqz a0, .Lno_replacement
    mv s4, a0                                   # s4: the first of them
    mv a0, s2
    call store_init
    bnez a0, .Lno_store
    PPN_TO_VA a0, s4, t0
    call residents_init
    la t0, replacement_policy
    sd s1, 0(t0)
.Linitialised:
    li a0, 0
    LEAVE 4
.Lno_store:
    mv s2, a0                                   # s2: why not
    mv a0, s4
    mv a1, s3
    call frame_dealloc_contiguous
    mv t0, s2
.Lno_replacement:
    mv a1, t0
    la a0, line_no_store
    call printf
    li a0, -1
    LEAVE 4
END_FUNCTION replacement_init

# make_room(): sees to it that a few frames are free, if there is a policy, pages that can be replaced, and room for them
FUNCTION make_room
    la t0, replacement_policy
    ld t0, 0(t0)
    beqz t0, .Lnothing_replaced
    ENTER
.Lcheck_room:
    la t0, frame_count
    ld t0, 0(t0)
    la t1, frame_used
    ld t1, 0(t1)
    sub t0, t0, t1                              # t0: free frames
    li t1, ROOM
    bgeu t0, t1, .Lroom_made
    la t0, resident_count
    ld t0, 0(t0)
    li t1, LEAST_RESIDENTS
    bleu t0, t1, .Lroom_made
    la t0, replacement_policy
    ld a0, 0(t0)
    call choose_page
    beqz a0, .Lroom_made
    mv t0, a0                                   # t0: the page that is to go
    ld a0, RESIDENT_SPACE(t0)
    ld a1, RESIDENT_VPN(t0)
    ld a2, RESIDENT_PPN(t0)
    call page_out
    bgez a0, .Lcheck_room
.Lroom_made:
    LEAVE
.Lnothing_replaced:
    ret
END_FUNCTION make_room

# page_out(a0 = space, a1 = vpn, a2 = ppn: a resident) -> a0 = the slot of the store that it went to, and its frame is free;
# -1 when the store is full or fails, and nothing has changed
FUNCTION page_out
    ENTER 4
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: vpn
    mv s3, a2                                   # s3: ppn
    mv a0, a2
    call store_put
    mv s4, a0                                   # s4: slot
    bltz a0, .Lnot_stored
    ld a0, SPACE_ROOT(s1)
    mv a1, s2
    call find_pte
    ld t0, 0(a0)
    andi t0, t0, 0xff & ~PTE_V
    ori t0, t0, PTE_STORED
    slli t1, s4, PTE_PPN_SHIFT
    or t0, t0, t1                               # t0: the PTE, with the slot in place of a frame
    sd t0, 0(a0)
    slli t0, s2, PAGE_SHIFT
    ld t1, SPACE_ASID(s1)
    sfence.vma t0, t1
    mv a0, s3
    mv a1, s1
    call page_gone
    call frame_dealloc
    la t0, pages_stored
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
.Lnot_stored:
    mv a0, s4
    LEAVE 4
END_FUNCTION page_out

# page_in(a0 = space, a1 = vpn, a2 = address of its PTE, which has PTE_STORED) -> a0 = 0, a1 = ppn, and the page is mapped
# again as it was; or a0 = why not, as a string. The caller fences.
FUNCTION page_in
    ENTER 4
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: vpn
    mv s3, a2                                   # s3: address of the PTE
    call make_room
    call frame_alloc
    la t0, reason_no_frame
    beqz a0, .Lno_frame_for_page
    mv s4, a0                                   # s4: its new frame
    mv a1, a0
    ld a0, 0(s3)
    srli a0, a0, PTE_PPN_SHIFT
    call store_get
    bnez a0, .Lnot_read
    ld t0, 0(s3)
    andi t0, t0, 0xff
    ori t0, t0, PTE_V | PTE_A
    slli t1, s4, PTE_PPN_SHIFT
    or t0, t0, t1                               # t0: the PTE, as it was
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
    mv a1, s4
    LEAVE 4
.Lnot_read:
    mv a0, s4
    call frame_dealloc
    la t0, reason_lost
.Lno_frame_for_page:
    mv a0, t0
    LEAVE 4
END_FUNCTION page_in

# stored_page(a0 = what find_pte gave for a page, 0; a1 = its level; a2 = the PTE's address) -> a0 = 1 when the page lies in
# the store, else 0. Clobbers t0 only.
FUNCTION stored_page
    bnez a0, .Lnot_in_store
    bnez a1, .Lnot_in_store
    ld t0, 0(a2)
    andi t0, t0, PTE_STORED
    snez a0, t0
    ret
.Lnot_in_store:
    li a0, 0
    ret
END_FUNCTION stored_page

STRING line_no_store, "[kernel] pages are not replaced: %s\n"
STRING reason_no_room, "no room in memory for a table of the frames"
STRING reason_no_frame, "no available frame to allocate"
STRING reason_lost, "its page cannot be read back from the store"
