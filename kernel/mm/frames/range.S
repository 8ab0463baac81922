# Which frames are free: from the end of the kernel to the end of memory.
.include "lib/abi.inc"
.include "lib/page.inc"

VARIABLE memory_end_pa                          # first physical address behind the memory that the kernel uses

.text

# frames_start(a0 = first free ppn behind the kernel, a1 = end of memory, pa)
# Remembers the end of memory and hands the frames between to the allocator.
FUNCTION frames_start
    la t0, memory_end_pa
    sd a1, 0(t0)
    srli a1, a1, PAGE_SHIFT                     # rounded down: half a frame is none
    j frame_init
END_FUNCTION frames_start

# kernel_end_ppn() -> a0 = first frame behind the kernel
FUNCTION kernel_end_ppn
    la a0, ekernel
    li t0, PAGE_SIZE - 1
    add a0, a0, t0                              # rounded up: a frame that the kernel ends in is not free
    VA_TO_PPN a0, a0, t0
    ret
END_FUNCTION kernel_end_ppn
