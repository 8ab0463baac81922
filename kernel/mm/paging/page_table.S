# Sv39 page tables: find, map, unmap, translate (privileged manual, 4.4).
#
# A page table is named by the ppn of its root. Tables are frames and are read and written through the linear mapping.
.include "lib/abi.inc"
.include "lib/page.inc"

# VPN_INDEX rd, vpn, level, tmp   offset in bytes of the PTE for vpn in a table on that level
.macro VPN_INDEX rd, vpn, level, tmp
    slli \tmp, \level, 3
    add \tmp, \tmp, \level                      # 9 bits of the vpn for each level
    srl \rd, \vpn, \tmp
    andi \rd, \rd, PTE_INDEX_MASK
    slli \rd, \rd, 3
.endm

# PTE_TO_PPN rd, rs
.macro PTE_TO_PPN rd, rs
    slli \rd, \rs, 64 - PTE_PPN_SHIFT - PTE_PPN_BITS    # the bits above the ppn are not part of it
    srli \rd, \rd, 64 - PTE_PPN_BITS
.endm

.text

# page_table_new() -> a0 = root ppn of an empty page table, 0 when there is no frame
FUNCTION page_table_new
    ENTER 1
    call make_room
    call frame_alloc
    mv s1, a0                                   # s1: root ppn
    beqz a0, .Ltable_ready
    call zero_frame
    mv a0, s1
.Ltable_ready:
    LEAVE 1
END_FUNCTION page_table_new

# find_pte(a0 = root ppn, a1 = vpn) -> a0 = address of the leaf PTE that maps vpn, a1 = its level (2, 1, 0)
# a0 = 0 when nothing maps vpn; a1 is then the level on which the walk ended. a2 = address of the last PTE, in any case.
FUNCTION find_pte
    li t0, TOP_LEVEL                            # t0: level of the table a0
.Lwalk:
    PPN_TO_VA t1, a0, t2
    VPN_INDEX t3, a1, t0, t2
    add t1, t1, t3                              # t1: address of the PTE
    ld t4, 0(t1)                                # t4: the PTE
    andi t5, t4, PTE_V
    beqz t5, .Lno_leaf
    andi t5, t4, PTE_RWX
    bnez t5, .Lleaf
    beqz t0, .Lno_leaf                          # a pointer on the last level points nowhere
    PTE_TO_PPN a0, t4
    addi t0, t0, -1
    j .Lwalk
.Lleaf:
    mv a0, t1
    mv a1, t0
    mv a2, t1
    ret
.Lno_leaf:
    li a0, 0
    mv a1, t0
    mv a2, t1
    ret
END_FUNCTION find_pte

# find_pte_create(a0 = root ppn, a1 = vpn, a2 = level) -> a0 = address of the PTE for vpn on that level
# Missing tables above it are made. a0 = 0 when there is no frame for them; what was made stays, empty.
# Panics when a leaf on a higher level maps vpn already.
FUNCTION find_pte_create
    ENTER 5
    mv s1, a1                                   # s1: vpn
    mv s2, a2                                   # s2: level wanted
    li s3, TOP_LEVEL                            # s3: level of the table a0
.Lwalk_create:
    PPN_TO_VA t1, a0, t2
    VPN_INDEX t3, s1, s3, t2
    add s4, t1, t3                              # s4: address of the PTE
    beq s3, s2, .Lpte_found
    ld t4, 0(s4)                                # t4: the PTE
    andi t5, t4, PTE_V
    bnez t5, .Lhas_table
    call page_table_new
    beqz a0, .Lcreated_or_not
    slli t4, a0, PTE_PPN_SHIFT
    ori t4, t4, PTE_V
    sd t4, 0(s4)
    j .Ldown
.Lhas_table:
    andi t5, t4, PTE_RWX
    bnez t5, .Lis_mapped
    PTE_TO_PPN a0, t4
.Ldown:
    addi s3, s3, -1
    j .Lwalk_create
.Lpte_found:
    mv a0, s4
.Lcreated_or_not:
    LEAVE 5
.Lis_mapped:
    mv a0, s1
    j panic_mapped
END_FUNCTION find_pte_create

# panic_mapped(a0 = vpn)
LOCAL_FUNCTION panic_mapped
    ENTER                                       # for the backtrace
    mv a1, a0
    la a0, message_mapped
    call panic
END_FUNCTION panic_mapped

# map_page(a0 = root ppn, a1 = vpn, a2 = ppn, a3 = flags) -> a0 = 0, -1 when there is no frame for a table
# Maps one page of 4 KiB. flags are those of a PTE (PTE_R, PTE_W, ..); PTE_V is added. A TLB that remembers that the
# page was invalid must be told by the caller (sfence.vma). Panics when the page is mapped already.
FUNCTION map_page
    li a4, 0
    j map_leaf
END_FUNCTION map_page

# map_leaf(a0 = root ppn, a1 = vpn, a2 = ppn, a3 = flags, a4 = level) -> a0 as for map_page
# Maps a leaf on any level: 4 KiB on 0, 2 MiB on 1, 1 GiB on 2. Panics when vpn or ppn is not a multiple of its size.
FUNCTION map_leaf
    ENTER 3
    mv s1, a1                                   # s1: vpn
    mv s2, a2                                   # s2: ppn
    mv s3, a3                                   # s3: flags
    slli t0, a4, 3
    add t0, t0, a4
    li t1, -1
    sll t1, t1, t0
    or t0, a1, a2
    and t1, t0, t1
    bne t0, t1, .Lmisaligned
    mv a2, a4
    call find_pte_create
    beqz a0, .Lno_table
    ld t0, 0(a0)                                # t0: the PTE as it was
    andi t0, t0, PTE_V
    bnez t0, .Lalready_mapped
    slli t0, s2, PTE_PPN_SHIFT                  # t0: the PTE as it is to be
    or t0, t0, s3
    ori t0, t0, PTE_V
    sd t0, 0(a0)
    li a0, 0
    LEAVE 3
.Lalready_mapped:
    mv a0, s1
    call panic_mapped
.Lmisaligned:
    mv a3, a4
    la a0, message_misaligned
    call panic
.Lno_table:
    li a0, -1
    LEAVE 3
END_FUNCTION map_leaf

# unmap_page(a0 = root ppn, a1 = vpn) -> a0 = ppn that it was mapped to, a1 = level of the leaf
# The frame stays its owner's. Panics when the page is not mapped.
FUNCTION unmap_page
    ENTER 1
    mv s1, a1                                   # s1: vpn
    call find_pte
    beqz a0, .Lnot_mapped
    ld t0, 0(a0)                                # t0: the PTE as it was
    sd zero, 0(a0)
    slli t1, s1, PAGE_SHIFT
    sfence.vma t1, zero
    PTE_TO_PPN a0, t0
    LEAVE 1
.Lnot_mapped:
    mv a1, s1
    la a0, message_unmapped
    call panic
END_FUNCTION unmap_page

# translate(a0 = root ppn, a1 = va) -> a0 = pa, -1 when nothing maps it (002: la2pa)
FUNCTION translate
    ENTER 1
    mv s1, a1                                   # s1: va
    srli a1, a1, PAGE_SHIFT
    call find_pte
    beqz a0, .Lno_translation
    ld t0, 0(a0)                                # t0: the PTE, then the leaf's first pa
    PTE_TO_PPN t0, t0
    slli t0, t0, PAGE_SHIFT
    slli t1, a1, 3
    add t1, t1, a1
    addi t1, t1, PAGE_SHIFT                     # bits of the offset in a leaf of this level
    li t2, -1
    sll t2, t2, t1
    not t2, t2
    and t2, s1, t2                              # t2: the offset in the leaf
    or a0, t0, t2
    LEAVE 1
.Lno_translation:
    li a0, -1
    LEAVE 1
END_FUNCTION translate

# map_range(a0 = root ppn, a1 = vpn, a2 = ppn, a3 = pages, a4 = flags) -> a0 = 0, -1 when there is no frame for a table
# Consecutive pages to consecutive frames, each by the largest leaf that both sides are aligned for and that still fits.
FUNCTION map_range
    ENTER 5
    mv s1, a0                                   # s1: root ppn
    mv s2, a1                                   # s2: vpn of the next page
    mv s3, a2                                   # s3: ppn of its frame
    mv s4, a3                                   # s4: pages left
    mv s5, a4                                   # s5: flags
.Lnext_leaf:
    beqz s4, .Lrange_mapped
    or t2, s2, s3
    li a4, TOP_LEVEL                            # a4: level of the leaf
.Ltry_level:
    slli t0, a4, 3
    add t0, t0, a4
    li t1, 1
    sll t1, t1, t0                              # t1: pages that a leaf on this level maps
    bgtu t1, s4, .Llower_level
    addi t0, t1, -1
    and t0, t0, t2
    bnez t0, .Llower_level
    mv a0, s1
    mv a1, s2
    mv a2, s3
    mv a3, s5
    add s2, s2, t1
    add s3, s3, t1
    sub s4, s4, t1
    call map_leaf
    beqz a0, .Lnext_leaf
    LEAVE 5
.Llower_level:
    addi a4, a4, -1                             # every page fits a leaf on level 0
    j .Ltry_level
.Lrange_mapped:
    li a0, 0
    LEAVE 5
END_FUNCTION map_range

# page_table_free(a0 = root ppn): every table of it. What leaves point at belongs to others; nobody may translate by it.
FUNCTION page_table_free
    li a1, TOP_LEVEL
    j free_table
END_FUNCTION page_table_free

# free_table(a0 = ppn, a1 = its level): the table and all below
LOCAL_FUNCTION free_table
    ENTER 4
    mv s1, a0                                   # s1: the table
    mv s2, a1                                   # s2: its level
    beqz s2, .Lno_tables_below                  # the last level has leaves only
    PPN_TO_VA s3, s1, t0                        # s3: address of the next PTE
    li t0, PAGE_SIZE
    add s4, s3, t0                              # s4: behind the last
.Leach_pte:
    ld t0, 0(s3)
    addi s3, s3, 8
    andi t1, t0, PTE_V | PTE_RWX
    li t2, PTE_V
    bne t1, t2, .Lno_pointer
    PTE_TO_PPN a0, t0
    addi a1, s2, -1
    call free_table
.Lno_pointer:
    bne s3, s4, .Leach_pte
.Lno_tables_below:
    mv a0, s1
    call frame_dealloc
    LEAVE 4
END_FUNCTION free_table

# satp_of(a0 = root ppn, a1 = asid) -> a0 = the value of satp that translates by this table
FUNCTION satp_of
    li t0, SATP_SV39 << SATP_MODE_SHIFT
    or a0, a0, t0
    slli t0, a1, SATP_ASID_SHIFT
    or a0, a0, t0
    ret
END_FUNCTION satp_of

# page_table_activate(a0 = root ppn, a1 = asid): the hart translates by this table from now on
FUNCTION page_table_activate
    ENTER
    call satp_of
    sfence.vma                                  # orders the writes of the PTEs before the first walk
    csrw satp, a0
    sfence.vma
    LEAVE
END_FUNCTION page_table_activate

STRING message_mapped, "vpn VPN:%p is mapped before mapping"
STRING message_unmapped, "vpn VPN:%p is invalid before unmapping"
STRING message_misaligned, "vpn VPN:%p or ppn PPN:%p is not aligned for a leaf on level %d"
