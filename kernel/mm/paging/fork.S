# A copy of an address space that shares all frames until somebody writes (copy on write).
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"

.text

# space_fork(a0 = space, a1 = asid) -> a0 = the copy, 0 when memory runs out
# Private pages become read-only in both; space_fault gives the first writer its own. Pages of shared areas stay
# writable. Only areas are copied: what was mapped by other means (trampoline, trap context) is the caller's business.
FUNCTION space_fork
    ENTER 4
    mv s1, a0                                   # s1: the original
    mv a0, a1
    call space_new
    beqz a0, .Lforked
    mv s2, a0                                   # s2: the copy
    ld s3, SPACE_AREAS(s1)                      # s3: the area to copy
.Lcopy_area:
    beqz s3, .Lall_copied
    mv a0, s2
    ld a1, AREA_START(s3)
    ld a2, AREA_END(s3)
    ld a3, AREA_FLAGS(s3)
    li a4, AREA_LAZY                            # as its frames are the original's, and mapped below
    call area_add
    beqz a0, .Lgive_up
    ld t0, AREA_KIND(s3)
    sd t0, AREA_KIND(a0)
    ld t0, AREA_SOURCE(s3)
    sd t0, AREA_SOURCE(a0)
    ld t0, AREA_SOURCE_VA(s3)
    sd t0, AREA_SOURCE_VA(a0)
    ld t0, AREA_SOURCE_BYTES(s3)
    sd t0, AREA_SOURCE_BYTES(a0)
    mv a0, s1
    mv a1, s3
    mv a2, s2
    call share_pages
    bnez a0, .Lgive_up
    ld s3, AREA_NEXT(s3)
    j .Lcopy_area
.Lall_copied:
    ld t0, SPACE_ASID(s1)
    sfence.vma zero, t0                         # pages of the original are not writable any more
    mv a0, s2
.Lforked:
    LEAVE 4
.Lgive_up:
    mv a0, s2
    call space_free
    ld t0, SPACE_ASID(s1)
    sfence.vma zero, t0
    li a0, 0
    LEAVE 4
END_FUNCTION space_fork

# share_pages(a0 = space, a1 = its area, a2 = the copy) -> a0 = 0, -1 when there is no frame for a table
LOCAL_FUNCTION share_pages
    ENTER 7
    mv s7, a0                                   # s7: space
    ld s1, SPACE_ROOT(a0)                       # s1: root ppn of the original
    mv s2, a1                                   # s2: area
    ld s3, SPACE_ROOT(a2)                       # s3: root ppn of the copy
    ld s4, AREA_START(s2)                       # s4: vpn of the next page
.Lnext_page:
    ld t0, AREA_END(s2)
    bgeu s4, t0, .Lall_shared
    call make_room
.Llook_up:
    mv a0, s1
    mv a1, s4
    call find_pte
    bnez a0, .Lpresent
    mv s6, a1                                   # s6: level on which the walk ended
    call stored_page
    bnez a0, .Lstored
    mv a0, s4
    mv a1, s6
    call next_entry
    mv s4, a0
    j .Lnext_page
.Lpresent:
    ld s5, 0(a0)                                # s5: the PTE
    ld t0, AREA_KIND(s2)
    li t1, AREA_LAZY
    beq t0, t1, .Lwrite_protect
    li t1, AREA_FRAMED
    bne t0, t1, .Lshare
.Lwrite_protect:
    andi s5, s5, ~PTE_W
    sd s5, 0(a0)
.Lshare:
    srli s6, s5, PTE_PPN_SHIFT                  # s6: ppn of the frame to share
    ld t0, AREA_KIND(s2)
    li t1, AREA_LINEAR
    beq t0, t1, .Lmap_shared                    # its frames are nobody's to count
    mv a0, s6
    call frame_ref                              # before map_page, which may replace pages with one owner for a table
.Lmap_shared:
    mv a0, s3
    mv a1, s4
    mv a2, s6
    andi a3, s5, 0xff
    call map_page
    bnez a0, .Lmap_failed
    addi s4, s4, 1
    j .Lnext_page
.Lall_shared:
    li a0, 0
    LEAVE 7
.Lmap_failed:
    ld t0, AREA_KIND(s2)
    li t1, AREA_LINEAR
    beq t0, t1, .Lfailed
    mv a0, s6
    call frame_unref
.Lfailed:
    li a0, -1
    LEAVE 7
.Lstored:
    mv a0, s7
    mv a1, s4
    call page_in                                # shared frames cannot be replaced, so it comes back first
    beqz a0, .Llook_up                          # past make_room, which could store it again
    li a0, -1
    LEAVE 7
END_FUNCTION share_pages
