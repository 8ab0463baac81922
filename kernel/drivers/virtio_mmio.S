# Virtio slots: finding a device and setting its first queue up, in version 1 (legacy) and 2 of the transport.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"
.include "drivers/virtio.inc"

.text

# virtio_map() -> a0 = 0, -1 when memory runs out: the registers of all slots become visible in the kernel's space
FUNCTION virtio_map
    ENTER
    la t0, kernel_space
    ld a0, 0(t0)
    li t0, VIRTIO_SLOTS_PA
    PA_TO_VA a1, t0, t1                         # a1: where the kernel sees the slots
    srli a1, a1, PAGE_SHIFT
    addi a2, a1, VIRTIO_SLOTS
    li a3, PTE_R | PTE_W
    li a4, AREA_LINEAR
    li a5, VIRTIO_SLOTS_PA >> PAGE_SHIFT
    call area_add
    seqz a0, a0
    neg a0, a0
    LEAVE
END_FUNCTION virtio_map

# virtio_find(a0 = device id) -> a0 = address of the registers of the first device of this kind, 0 when there is none
FUNCTION virtio_find
    li t0, VIRTIO_SLOTS_PA
    PA_TO_VA t0, t0, t1                         # t0: registers of the slot
    li t1, VIRTIO_SLOTS                         # t1: slots that are left
    li t2, VIRTIO_SLOT_SIZE
    li t3, VIRTIO_MAGIC_VALUE
.Lslot:
    lwu t4, VIRTIO_MAGIC(t0)
    bne t4, t3, .Lnext_slot
    lwu t4, VIRTIO_DEVICE_ID(t0)
    beq t4, a0, .Lfound
.Lnext_slot:
    add t0, t0, t2
    addi t1, t1, -1
    bnez t1, .Lslot
    li t0, 0
.Lfound:
    mv a0, t0
    ret
END_FUNCTION virtio_find

# virtio_start(a0 = registers, a1 = address of QUEUE_SIZE bytes of zeros on a page) -> a0 = 0; -1 when the device does not
# take this driver, and then is reset. None of the device's own features is accepted. (3.1.1, and 3.1.2 for version 1.)
FUNCTION virtio_start
    sw zero, VIRTIO_STATUS(a0)                  # reset
    fence o, io
    li t0, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER   # t0: status so far
    sw t0, VIRTIO_STATUS(a0)
    lwu t1, VIRTIO_VERSION(a0)                  # t1: version
    sw zero, VIRTIO_DRIVER_FEATURES_SEL(a0)
    sw zero, VIRTIO_DRIVER_FEATURES(a0)
    li t2, VIRTIO_LEGACY
    beq t1, t2, .Lqueue
    li t2, VIRTIO_MODERN
    bne t1, t2, .Lrefused
    li t2, 1
    sw t2, VIRTIO_DRIVER_FEATURES_SEL(a0)
    li t2, VIRTIO_F_VERSION_1_HIGH
    sw t2, VIRTIO_DRIVER_FEATURES(a0)
    ori t0, t0, VIRTIO_FEATURES_OK
    sw t0, VIRTIO_STATUS(a0)
    lwu t2, VIRTIO_STATUS(a0)
    andi t2, t2, VIRTIO_FEATURES_OK
    beqz t2, .Lrefused

.Lqueue:
    sw zero, VIRTIO_QUEUE_SEL(a0)
    lwu t2, VIRTIO_QUEUE_NUM_MAX(a0)
    li t3, QUEUE_ENTRIES
    bltu t2, t3, .Lrefused
    sw t3, VIRTIO_QUEUE_NUM(a0)
    VA_TO_PA t2, a1, t3                         # t2: where the device sees the queue
    li t3, VIRTIO_LEGACY
    bne t1, t3, .Lmodern
    li t3, PAGE_SIZE
    sw t3, VIRTIO_LEGACY_PAGE_SIZE(a0)
    sw t3, VIRTIO_LEGACY_QUEUE_ALIGN(a0)
    srli t3, t2, PAGE_SHIFT
    sw t3, VIRTIO_LEGACY_QUEUE_PFN(a0)
    j .Lqueue_set
.Lmodern:
    sw t2, VIRTIO_QUEUE_DESCRIPTORS(a0)
    srli t3, t2, 32
    sw t3, VIRTIO_QUEUE_DESCRIPTORS + 4(a0)
    addi t4, t2, QUEUE_AVAILABLE
    sw t4, VIRTIO_QUEUE_DRIVER(a0)
    srli t3, t4, 32
    sw t3, VIRTIO_QUEUE_DRIVER + 4(a0)
    li t4, QUEUE_USED
    add t4, t2, t4
    sw t4, VIRTIO_QUEUE_DEVICE(a0)
    srli t3, t4, 32
    sw t3, VIRTIO_QUEUE_DEVICE + 4(a0)
    li t3, 1
    sw t3, VIRTIO_QUEUE_READY(a0)
.Lqueue_set:
    li t2, AVAILABLE_NO_INTERRUPT               # whoever waits looks at the used ring
    sh t2, QUEUE_AVAILABLE + AVAILABLE_FLAGS(a1)
    fence w, o
    ori t0, t0, VIRTIO_DRIVER_OK
    sw t0, VIRTIO_STATUS(a0)
    li a0, 0
    ret
.Lrefused:
    sw zero, VIRTIO_STATUS(a0)
    li a0, -1
    ret
END_FUNCTION virtio_start
