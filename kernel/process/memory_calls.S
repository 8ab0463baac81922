# The system calls with which a program gets and returns memory. All of it is lazy: frames come with the first access.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"
.include "process/process.inc"

# What mmap is told to allow (003)
.equ MMAP_R, 1
.equ MMAP_W, 2
.equ MMAP_X, 4

.text

# sys_sbrk(a0 = bytes, may be negative) -> a0 = the program break before, -1 when it cannot move there
FUNCTION sys_sbrk
    ENTER 6
    la t0, current_process
    ld s1, 0(t0)                                # s1: the process
    ld s2, PROCESS_BREAK(s1)                    # s2: the break, s3: the new one
    add s3, s2, a0
    ld s4, PROCESS_HEAP_START(s1)               # s4: where the heap begins
    bltu s3, s4, .Lno
    li t0, USER_END_VPN << PAGE_SHIFT
    bgtu s3, t0, .Lno
    srli s4, s4, PAGE_SHIFT                     # s4: first vpn of the heap
    li t0, PAGE_SIZE - 1
    add s5, s3, t0
    srli s5, s5, PAGE_SHIFT                     # s5: vpn behind the last
    ld s6, PROCESS_HEAP(s1)                     # s6: the area of the heap, 0: none
    bnez s6, .Lhas_heap
    beq s4, s5, .Lmoved                         # no page is needed
    ld a0, PROCESS_SPACE(s1)
    mv a1, s4
    mv a2, s5
    li a3, PTE_R | PTE_W | PTE_U
    li a4, AREA_LAZY
    call area_add
    beqz a0, .Lno
    sd a0, PROCESS_HEAP(s1)
    j .Lmoved
.Lhas_heap:
    ld t0, AREA_END(s6)
    bgtu s5, t0, .Lgrow
    mv a3, t0
    bne s4, s5, .Lshrink
    ld a0, PROCESS_SPACE(s1)                    # no page is left
    mv a1, s6
    call area_remove
    sd zero, PROCESS_HEAP(s1)
    j .Lmoved
.Lshrink:
    sd s5, AREA_END(s6)
    ld a0, PROCESS_SPACE(s1)
    mv a1, s6
    mv a2, s5
    call area_unmap
    j .Lmoved
.Lgrow:
    ld a0, PROCESS_SPACE(s1)
    mv a1, t0
    mv a2, s5
    call area_overlapping
    bnez a0, .Lno
    sd s5, AREA_END(s6)
.Lmoved:
    sd s3, PROCESS_BREAK(s1)
    mv a0, s2
    LEAVE 6
.Lno:
    li a0, -1
    LEAVE 6
END_FUNCTION sys_sbrk

# sys_brk(a0 = va) -> a0 = 0, -1 when the program break cannot move there
FUNCTION sys_brk
    ENTER
    la t0, current_process
    ld t0, 0(t0)
    ld t0, PROCESS_BREAK(t0)
    sub a0, a0, t0
    call sys_sbrk
    srai a0, a0, 63                             # a break is positive: 0, or -1 as it was
    LEAVE
END_FUNCTION sys_brk

# sys_mmap(a0 = va on a page, a1 = bytes, a2 = MMAP_R, MMAP_W, MMAP_X) -> a0 = 0, -1 when that is not possible:
# not on a page, nothing, no or unknown permissions, writable without readable, or overlapping what is there
FUNCTION sys_mmap
    ENTER
    call page_range
    beqz a0, .Lnot_mapped
    addi t0, a2, -1
    li t1, MMAP_R | MMAP_W | MMAP_X
    bgeu t0, t1, .Lnot_mapped
    andi t0, a2, MMAP_R | MMAP_W
    li t1, MMAP_W
    beq t0, t1, .Lnot_mapped                    # reserved in a PTE
    slli a3, a2, 1                              # PTE_R, PTE_W, PTE_X are the next higher bits
    ori a3, a3, PTE_U
    mv a2, a1
    mv a1, a0
    la t0, current_process
    ld t0, 0(t0)
    ld a0, PROCESS_SPACE(t0)
    li a4, AREA_LAZY
    call area_add
    beqz a0, .Lnot_mapped
    li a0, 0
    LEAVE
.Lnot_mapped:
    li a0, -1
    LEAVE
END_FUNCTION sys_mmap

# sys_munmap(a0 = va, a1 = bytes) -> a0 = 0, -1 when it is not exactly what one mmap made
FUNCTION sys_munmap
    ENTER 3
    call page_range
    beqz a0, .Lnot_unmapped
    mv s2, a0                                   # s2: first vpn
    mv s3, a1                                   # s3: vpn behind the last
    la t0, current_process
    ld s1, 0(t0)                                # s1: the process
    mv a1, s2
    ld a0, PROCESS_SPACE(s1)
    call area_find
    beqz a0, .Lnot_unmapped
    ld t0, PROCESS_HEAP(s1)
    beq a0, t0, .Lnot_unmapped
    ld t0, AREA_START(a0)
    bne t0, s2, .Lnot_unmapped
    ld t0, AREA_END(a0)
    bne t0, s3, .Lnot_unmapped
    mv a1, a0
    ld a0, PROCESS_SPACE(s1)
    call area_remove
    li a0, 0
    LEAVE 3
.Lnot_unmapped:
    li a0, -1
    LEAVE 3
END_FUNCTION sys_munmap

# page_range(a0 = va, a1 = bytes) -> a0 = first vpn, a1 = vpn behind the last; a0 = 0 when va is not on a page, there is
# no page, or they are not all a program's. Clobbers t0 t1 only.
LOCAL_FUNCTION page_range
    slli t0, a0, 64 - PAGE_SHIFT
    bnez t0, .Lbad_range
    beqz a1, .Lbad_range
    li t0, USER_END_VPN << PAGE_SHIFT
    bgeu a0, t0, .Lbad_range
    sub t1, t0, a0
    bgtu a1, t1, .Lbad_range
    add a1, a0, a1
    li t0, PAGE_SIZE - 1
    add a1, a1, t0
    srli a1, a1, PAGE_SHIFT
    srli a0, a0, PAGE_SHIFT
    ret
.Lbad_range:
    li a0, 0
    ret
END_FUNCTION page_range
