# Lazy memory: a range of addresses whose pages get their frames at the first access.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "lib/page.inc"

.equ LAZY_FLAGS, PTE_R | PTE_W | PTE_A | PTE_D

VARIABLE lazy_first_vpn
VARIABLE lazy_pages                             # 0: no range is reserved
VARIABLE lazy_served                            # pages that have their frame

.text

# lazy_reserve(a0 = first vpn, a1 = pages)
# Reserves the range in the kernel's address space; it takes no frame yet. There is one such range at a time.
FUNCTION lazy_reserve
    la t0, lazy_first_vpn
    sd a0, 0(t0)
    la t0, lazy_pages
    sd a1, 0(t0)
    la t0, lazy_served
    sd zero, 0(t0)
    ret
END_FUNCTION lazy_reserve

# lazy_fault(a0 = va, a1 = scause of a page fault) -> a0 = 1 when the page got its frame and the access can be repeated
# a0 = 0 when the fault has nothing to do with the lazy range, or is a fetch from it. Panics when no frame is left.
FUNCTION lazy_fault
    ENTER 2
    li t0, CAUSE_INSTRUCTION_PAGE_FAULT
    beq a1, t0, 1f
    srli s1, a0, PAGE_SHIFT                     # s1: vpn
    la t0, lazy_first_vpn
    ld t1, 0(t0)
    sub t1, s1, t1
    la t0, lazy_pages
    ld t0, 0(t0)
    bgeu t1, t0, 1f
    call frame_alloc
    beqz a0, 2f
    mv s2, a0
    call zero_frame
    la t0, kernel_root_ppn
    ld a0, 0(t0)
    mv a1, s1
    mv a2, s2
    li a3, LAZY_FLAGS
    call map_page
    bnez a0, 2f
    slli t0, s1, PAGE_SHIFT
    sfence.vma t0, zero
    la t0, lazy_served
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
    li a0, 1
    LEAVE 2
1:  li a0, 0
    LEAVE 2
2:  la a0, message_no_frame
    call panic
END_FUNCTION lazy_fault

# lazy_release() -> a0 = how many frames went back
# The range ends; its pages are unmapped and their frames freed. The tables stay for the next range.
FUNCTION lazy_release
    ENTER 4
    la t0, lazy_first_vpn
    ld s1, 0(t0)
    la t0, lazy_pages
    ld s2, 0(t0)
    add s2, s1, s2
    sd zero, 0(t0)
    la t0, kernel_root_ppn
    ld s3, 0(t0)
    li s4, 0
1:  beq s1, s2, 3f
    mv a0, s3
    mv a1, s1
    call find_pte
    beqz a0, 2f
    mv a0, s3
    mv a1, s1
    call unmap_page
    call frame_dealloc
    addi s4, s4, 1
2:  addi s1, s1, 1
    j 1b
3:  mv a0, s4
    LEAVE 4
END_FUNCTION lazy_release

STRING message_no_frame, "no available frame to allocate"
