# Page faults that an address space expects: first accesses to lazy pages, and stores to pages that are shared until
# somebody writes (copy on write).
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

VARIABLE lazy_pages_served                      # first accesses
VARIABLE pages_copied                           # copies on write

.text

# space_fault(a0 = space, a1 = va, a2 = PTE_R, PTE_W or PTE_X: the access) -> a0 = 0 when it can be repeated now;
# otherwise why not, as a string
FUNCTION space_fault
    ENTER 5
    mv s1, a0                                   # s1: space
    srli s2, a1, PAGE_SHIFT                     # s2: vpn
    mv s3, a2                                   # s3: access
    mv a1, s2
    call area_find
    mv s4, a0                                   # s4: area
    la a0, reason_no_area
    beqz s4, .Lend
    ld t0, AREA_KIND(s4)
    li t1, AREA_GUARD
    la a0, reason_guard
    beq t0, t1, .Lend
    ld t0, AREA_FLAGS(s4)
    and t0, t0, s3
    bnez t0, .Lallowed
    la a0, reason_not_readable
    li t0, PTE_R
    beq s3, t0, .Lend
    la a0, reason_not_writable
    li t0, PTE_W
    beq s3, t0, .Lend
    la a0, reason_not_executable
    j .Lend
.Lallowed:
    ld a0, SPACE_ROOT(s1)
    mv a1, s2
    call find_pte
    bnez a0, .Lmapped
    call stored_page
    bnez a0, .Lstored

    # The first access: the page gets a frame.
    call make_room
    call frame_alloc
    la t0, reason_no_frame
    beqz a0, .Lreason
    mv s5, a0
    mv a1, s4
    mv a2, s2
    call fill_frame
    ld a0, SPACE_ROOT(s1)
    mv a1, s2
    mv a2, s5
    ld a3, AREA_FLAGS(s4)
    ori a3, a3, PTE_A | PTE_D
    call map_page
    bnez a0, .Lno_table
    mv a0, s5
    mv a1, s1
    mv a2, s2
    call page_loaded
    la t0, lazy_pages_served
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
    j .Lfence

.Lmapped:
    # Mapped, and the area allows the access: a store to a page that is not writable yet, or a hart that leaves A and D
    # to software.
    mv s4, a0                                   # s4: address of the PTE
    ld t0, 0(s4)
    li t1, PTE_W
    bne s3, t1, .Lset_flags
    and t1, t0, t1
    bnez t1, .Lset_flags
    srli s5, t0, PTE_PPN_SHIFT                  # s5: the frame that is shared
    mv a0, s5
    call frame_owners
    li t0, 1
    beq a0, t0, .Lonly_owner                    # all others have left: it is ours to write
    call make_room                              # which leaves this frame alone: it has several owners
    call frame_alloc
    la t0, reason_no_frame
    beqz a0, .Lreason
    mv s3, a0                                   # s3: its copy
    mv a1, s5
    call copy_frame
    mv a0, s5
    mv a1, s1
    call page_gone
    call frame_unref
    mv s5, s3
    ld t0, 0(s4)
    andi t0, t0, 0x3ff                          # the flags stay
    slli t1, s3, PTE_PPN_SHIFT
    or t0, t0, t1
    sd t0, 0(s4)
    la t0, pages_copied
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
.Lonly_owner:
    mv a0, s5
    mv a1, s1
    mv a2, s2
    call page_loaded
    li s3, PTE_W
.Lset_flags:
    ld t0, 0(s4)
    or t0, t0, s3
    ori t0, t0, PTE_A
    andi t1, t0, PTE_W
    beqz t1, .Lflags_known
    ori t0, t0, PTE_D
.Lflags_known:
    sd t0, 0(s4)
.Lfence:
    slli t0, s2, PAGE_SHIFT
    ld t1, SPACE_ASID(s1)
    sfence.vma t0, t1
    li a0, 0
.Lend:
    LEAVE 5
.Lstored:
    mv a0, s1
    mv a1, s2
    call page_in                                # a2: the address of the PTE
    bnez a0, .Lend
    j .Lfence
.Lno_table:
    mv a0, s5
    call frame_dealloc
    la t0, reason_no_frame
.Lreason:
    mv a0, t0
    LEAVE 5
END_FUNCTION space_fault

# fill_frame(a0 = ppn, a1 = area, a2 = vpn): what this page of the area holds at first
LOCAL_FUNCTION fill_frame
    ENTER 3
    mv s1, a0                                   # s1: ppn
    mv s2, a1                                   # s2: area
    slli s3, a2, PAGE_SHIFT                     # s3: address of the page
    call zero_frame
    ld t0, AREA_SOURCE(s2)
    beqz t0, .Lfilled
    ld t1, AREA_SOURCE_VA(s2)
    ld t2, AREA_SOURCE_BYTES(s2)
    add t2, t1, t2                              # t1 .. t2: the addresses that have contents
    li t3, PAGE_SIZE
    add t3, s3, t3
    mv t4, s3                                   # t4 .. t3: those of them in this page
    bgeu t4, t1, .Lfrom_page_start
    mv t4, t1
.Lfrom_page_start:
    bleu t3, t2, .Lto_source_end
    mv t3, t2
.Lto_source_end:
    bgeu t4, t3, .Lfilled
    PPN_TO_VA a0, s1, t5
    sub t5, t4, s3
    add a0, a0, t5
    sub t5, t4, t1
    add a1, t0, t5
    sub a2, t3, t4
    call copy_bytes
.Lfilled:
    LEAVE 3
END_FUNCTION fill_frame

STRING reason_no_area, "nothing is mapped there"
STRING reason_guard, "that is a guard page"
STRING reason_not_readable, "the page may not be read"
STRING reason_not_writable, "the page may not be written"
STRING reason_not_executable, "the page may not be executed"
STRING reason_no_frame, "no available frame to allocate"
