# Address spaces: a page table and the areas that it maps.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

.equ POINTER_ALIGN, 8

.text

# space_new(a0 = asid) -> a0 = an empty address space, 0 when there is no memory for it
FUNCTION space_new
    ENTER 2
    mv s2, a0                                   # s2: asid
    li a0, SPACE_SIZE
    li a1, POINTER_ALIGN
    call heap_alloc
    beqz a0, .Lnew_done
    mv s1, a0                                   # s1: the space
    call page_table_new
    beqz a0, .Lno_root
    sd a0, SPACE_ROOT(s1)
    sd zero, SPACE_AREAS(s1)
    sd s2, SPACE_ASID(s1)
    mv a0, s1
.Lnew_done:
    LEAVE 2
.Lno_root:
    mv a0, s1
    li a1, SPACE_SIZE
    li a2, POINTER_ALIGN
    call heap_dealloc
    li a0, 0
    LEAVE 2
END_FUNCTION space_new

# space_free(a0 = space): every area with the frames it owns, every table, and the space itself. Nobody may be in it.
FUNCTION space_free
    ENTER 1
    mv s1, a0
.Lremove_areas:
    ld a1, SPACE_AREAS(s1)
    beqz a1, .Lall_removed
    mv a0, s1
    call area_remove
    j .Lremove_areas
.Lall_removed:
    ld a0, SPACE_ROOT(s1)
    call page_table_free
    ld t0, SPACE_ASID(s1)
    sfence.vma zero, t0                         # its identifier may be given to another
    mv a0, s1
    li a1, SPACE_SIZE
    li a2, POINTER_ALIGN
    call heap_dealloc
    LEAVE 1
END_FUNCTION space_free

# satp_of_space(a0 = space) -> a0 = the value of satp that translates by its table. Clobbers t0 a1 only.
FUNCTION satp_of_space
    ld a1, SPACE_ASID(a0)
    ld a0, SPACE_ROOT(a0)
    j satp_of
END_FUNCTION satp_of_space

# area_add(a0 = space, a1 = first vpn, a2 = vpn behind the last, a3 = flags, a4 = kind, a5 = first ppn) -> a0 = area
# a5 is for AREA_LINEAR and AREA_SHARED. a0 = 0 when the range is empty, overlaps another area, or memory runs out: then
# nothing has changed but tables, which stay.
FUNCTION area_add
    ENTER 7
    bgeu a1, a2, .Lnot_added
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: first vpn
    mv s3, a2                                   # s3: vpn behind the last
    mv s4, a3                                   # s4: flags
    mv s5, a4                                   # s5: kind
    mv s6, a5                                   # s6: first ppn
    mv a2, s3
    call area_overlapping
    bnez a0, .Lnot_added
    li a0, AREA_SIZE
    li a1, POINTER_ALIGN
    call heap_alloc
    beqz a0, .Lnot_added
    mv s7, a0                                   # s7: the area
    ld t0, SPACE_AREAS(s1)
    sd t0, AREA_NEXT(s7)
    sd s7, SPACE_AREAS(s1)
    sd s2, AREA_START(s7)
    sd s3, AREA_END(s7)
    sd s4, AREA_FLAGS(s7)
    sd s5, AREA_KIND(s7)
    sd zero, AREA_SOURCE(s7)
    mv a0, s1
    mv a1, s7
    mv a2, s6
    call area_map
    bnez a0, .Lunmap_again
    mv a0, s7
    LEAVE 7
.Lunmap_again:
    mv a0, s1
    mv a1, s7
    call area_remove
.Lnot_added:
    li a0, 0
    LEAVE 7
END_FUNCTION area_add

# area_overlapping(a0 = space, a1 = first vpn, a2 = vpn behind the last) -> a0 = an area that has a page in common, or 0
FUNCTION area_overlapping
    ld a0, SPACE_AREAS(a0)
.Lcompare_area:
    beqz a0, .Lcompared
    ld t0, AREA_START(a0)
    ld t1, AREA_END(a0)
    sltu t0, t0, a2
    sltu t1, a1, t1
    and t0, t0, t1
    bnez t0, .Lcompared
    ld a0, AREA_NEXT(a0)
    j .Lcompare_area
.Lcompared:
    ret
END_FUNCTION area_overlapping

# area_find(a0 = space, a1 = vpn) -> a0 = the area of this page, 0 when there is none
FUNCTION area_find
    addi a2, a1, 1
    j area_overlapping
END_FUNCTION area_find

# area_map(a0 = space, a1 = area, a2 = first ppn) -> a0 = 0, -1 when memory runs out: what an area gets at once
LOCAL_FUNCTION area_map
    ENTER 6
    mv s6, a0                                   # s6: space
    ld s1, SPACE_ROOT(a0)                       # s1: root ppn
    mv s2, a1                                   # s2: area
    mv s3, a2                                   # s3: ppn of the next page's frame
    ld t0, AREA_KIND(s2)
    li t1, AREA_LAZY
    beq t0, t1, .Lmapped
    li t1, AREA_GUARD
    beq t0, t1, .Lmapped
    ld s4, AREA_START(s2)                       # s4: vpn of the next page
    ld s5, AREA_END(s2)                         # s5: vpn behind the last
    li t1, AREA_LINEAR
    beq t0, t1, .Llinear
.Lpage:
    ld t0, AREA_KIND(s2)
    li t1, AREA_SHARED
    beq t0, t1, .Lshared_frame
    call make_room
    call frame_alloc
    beqz a0, .Lno_frame
    mv s3, a0
    call zero_frame
    j .Lmap_frame
.Lshared_frame:
    mv a0, s3
    call frame_ref
.Lmap_frame:
    mv a0, s1
    mv a1, s4
    mv a2, s3
    ld a3, AREA_FLAGS(s2)
    ori a3, a3, PTE_A | PTE_D
    call map_page
    bnez a0, .Lno_table
    addi s3, s3, 1                              # for a shared area; a framed one asks for each
    addi s4, s4, 1
    bne s4, s5, .Lpage
.Lfence:
    ld t0, SPACE_ASID(s6)
    sfence.vma zero, t0                         # a hart may remember that the pages were invalid
.Lmapped:
    li a0, 0
    LEAVE 6
.Llinear:
    mv a0, s1
    mv a1, s4
    mv a2, s3
    sub a3, s5, s4
    ld a4, AREA_FLAGS(s2)
    ori a4, a4, PTE_A | PTE_D
    call map_range
    beqz a0, .Lfence
    LEAVE 6
.Lno_table:
    mv a0, s3
    call frame_unref
.Lno_frame:
    li a0, -1
    LEAVE 6
END_FUNCTION area_map

# area_remove(a0 = space, a1 = area): unmaps its pages, gives up its frames, forgets it
FUNCTION area_remove
    ENTER 2
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: area
    ld a2, AREA_START(a1)
    ld a3, AREA_END(a1)
    call area_unmap
    addi t0, s1, SPACE_AREAS                    # t0: where the pointer to the area stands
.Lfind_area_link:
    ld t1, 0(t0)
    beq t1, s2, .Larea_found
    addi t0, t1, AREA_NEXT
    j .Lfind_area_link
.Larea_found:
    ld t1, AREA_NEXT(s2)
    sd t1, 0(t0)
    mv a0, s2
    li a1, AREA_SIZE
    li a2, POINTER_ALIGN
    call heap_dealloc
    LEAVE 2
END_FUNCTION area_remove

# area_unmap(a0 = space, a1 = area, a2 = first vpn, a3 = vpn behind the last) -> a0 = frames that it gave up
# Those pages of the area that are mapped lose their frames, of which another space may still be an owner.
FUNCTION area_unmap
    ENTER 7
    mv s7, a0                                   # s7: space
    ld s1, SPACE_ROOT(a0)                       # s1: root ppn
    mv s2, a1                                   # s2: area
    mv s3, a2                                   # s3: vpn of the next page
    mv s4, a3                                   # s4: vpn behind the last
    li s5, 0                                    # s5: frames given up
.Lunmap_next:
    bgeu s3, s4, .Lunmapped
    mv a0, s1
    mv a1, s3
    call find_pte
    mv s6, a1                                   # s6: level of the leaf, or on which the walk ended without one
    bnez a0, .Lunmap_leaf
    call stored_page
    beqz a0, .Lnext_table_entry
    ld a0, 0(a2)
    sd zero, 0(a2)
    srli a0, a0, PTE_PPN_SHIFT
    call store_free
.Lnext_table_entry:
    mv a0, s3
    mv a1, s6
    call next_entry
    mv s3, a0
    j .Lunmap_next
.Lunmap_leaf:
    mv a0, s1
    mv a1, s3
    call unmap_page
    slli t0, s6, 3
    add t0, t0, s6
    li t1, 1
    sll t1, t1, t0
    addi t1, t1, -1                             # t1: pages of the leaf, less one
    add s3, s3, t1                              # a linear area may have larger leaves
    ld t0, AREA_KIND(s2)
    li t1, AREA_LINEAR
    beq t0, t1, .Lleaf_unmapped
    mv a1, s7
    call page_gone
    call frame_unref
    addi s5, s5, 1
.Lleaf_unmapped:
    addi s3, s3, 1
    j .Lunmap_next
.Lunmapped:
    mv a0, s5
    LEAVE 7
END_FUNCTION area_unmap

# next_entry(a0 = vpn, a1 = level) -> a0 = the first vpn that the next PTE on this level maps: when a walk finds nothing
# on a high level, nothing is mapped up to there. Clobbers t0 t1 only.
FUNCTION next_entry
    slli t0, a1, 3
    add t0, t0, a1
    li t1, -1
    sll t1, t1, t0
    not t1, t1
    or a0, a0, t1
    addi a0, a0, 1
    ret
END_FUNCTION next_entry

# area_set_source(a0 = area, a1 = where its contents lie, a2 = address at which they begin, a3 = bytes)
# What the pages of a lazy area hold when they get their frames; zeros before and behind.
FUNCTION area_set_source
    sd a1, AREA_SOURCE(a0)
    sd a2, AREA_SOURCE_VA(a0)
    sd a3, AREA_SOURCE_BYTES(a0)
    ret
END_FUNCTION area_set_source
