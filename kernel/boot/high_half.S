# The switch-over of a kernel that is linked into the high half but loaded low.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ GIGAPAGE_SHIFT, 30
.equ BOOT_FLAGS, PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D

# One table for as long as the kernel has none of its own: the first GiB of memory, where it is and where it is linked.
# Two places, because the instruction after the write of satp is still fetched from the low address.
.section .bss.cleared, "aw", @nobits
.balign PAGE_SIZE
.type boot_page_table, @object
.size boot_page_table, PAGE_SIZE
boot_page_table:
    .zero PAGE_SIZE

.text

# enter_high_half(): called at the load address, returns at the linked one, with paging on and sp moved as well.
# The low half stays mapped until the kernel switches to its own table.
FUNCTION enter_high_half
    la t0, boot_page_table
    li t1, (RAM_START >> PAGE_SHIFT << PTE_PPN_SHIFT) | BOOT_FLAGS# t1: the leaf PTE
    li t2, (RAM_START >> GIGAPAGE_SHIFT & PTE_INDEX_MASK) * 8
    add t2, t0, t2
    sd t1, 0(t2)
    li t2, ((RAM_START + VIRTUAL_OFFSET) >> GIGAPAGE_SHIFT & PTE_INDEX_MASK) * 8
    add t2, t0, t2
    sd t1, 0(t2)
    srli t0, t0, PAGE_SHIFT
    li t1, SATP_SV39 << SATP_MODE_SHIFT
    or t0, t0, t1                               # t0: satp
    sfence.vma                                  # firmware may have left translations behind
    csrw satp, t0
    sfence.vma
    li t1, VIRTUAL_OFFSET                       # t1: from load address to linked one
    add ra, ra, t1
    add sp, sp, t1
    ret
END_FUNCTION enter_high_half
