# The disk: a virtio block device that reads and writes whole frames, one request at a time (virtio 1.2, 5.2).
.include "lib/abi.inc"
.include "lib/page.inc"
.include "drivers/virtio.inc"

.equ DEVICE_BLOCK, 2
.equ F_READ_ONLY, 1 << 5
.equ SECTORS_PER_PAGE_SHIFT, 3                  # sectors of 512 bytes

# Requests (5.2.6)
.equ REQUEST_IN, 0
.equ REQUEST_OUT, 1
.equ REQUEST_TYPE, 0
.equ REQUEST_SECTOR, 8
.equ REQUEST_SIZE, 16
.equ STATUS_NONE, 255                           # what no device answers

VARIABLE disk_registers                         # 0: there is no disk that can be used
VARIABLE disk_request, REQUEST_SIZE
VARIABLE disk_status

.section .bss.cleared, "aw", @nobits
.balign PAGE_SIZE
.type disk_queue, @object
.size disk_queue, QUEUE_SIZE
disk_queue:
    .zero QUEUE_SIZE

.section .data
.balign 8
.globl disk_patience
disk_patience:                                  # ticks of 10 MHz until a request is given up
    .quad 10 * 10000000

.text

# disk_init() -> a0 = pages that the disk holds; 0 when it cannot be used, and then a1 = why, as a string
FUNCTION disk_init
    ENTER 2
    call virtio_map
    la a1, reason_no_frame
    bnez a0, .Lno_disk
    li a0, DEVICE_BLOCK
    call virtio_find
    la a1, reason_none
    beqz a0, .Lno_disk
    mv s1, a0                                   # s1: registers
    sw zero, VIRTIO_DEVICE_FEATURES_SEL(s1)
    lwu t0, VIRTIO_DEVICE_FEATURES(s1)
    andi t0, t0, F_READ_ONLY
    la a1, reason_read_only
    bnez t0, .Lno_disk
    lwu t0, VIRTIO_CONFIG(s1)                   # its capacity in sectors
    lwu t1, VIRTIO_CONFIG + 4(s1)
    slli t1, t1, 32
    or s2, t0, t1
    srli s2, s2, SECTORS_PER_PAGE_SHIFT         # s2: pages
    la a1, reason_small
    beqz s2, .Lno_disk
    mv a0, s1
    la a1, disk_queue
    call virtio_start
    la a1, reason_refused
    bnez a0, .Lno_disk

    la t0, disk_registers
    sd s1, 0(t0)
    la t0, disk_queue                           # descriptors: request, page, status; the page's is written each time
    la t1, disk_request
    VA_TO_PA t1, t1, t2
    sd t1, DESCRIPTOR_ADDRESS(t0)
    li t1, REQUEST_SIZE
    sw t1, DESCRIPTOR_LENGTH(t0)
    li t1, DESCRIPTOR_F_NEXT
    sh t1, DESCRIPTOR_FLAGS(t0)
    li t1, 1
    sh t1, DESCRIPTOR_NEXT(t0)
    li t1, PAGE_SIZE
    sw t1, DESCRIPTOR_SIZE + DESCRIPTOR_LENGTH(t0)
    li t1, 2
    sh t1, DESCRIPTOR_SIZE + DESCRIPTOR_NEXT(t0)
    la t1, disk_status
    VA_TO_PA t1, t1, t2
    sd t1, 2 * DESCRIPTOR_SIZE + DESCRIPTOR_ADDRESS(t0)
    li t1, 1
    sw t1, 2 * DESCRIPTOR_SIZE + DESCRIPTOR_LENGTH(t0)
    li t1, DESCRIPTOR_F_WRITE
    sh t1, 2 * DESCRIPTOR_SIZE + DESCRIPTOR_FLAGS(t0)
    mv a0, s2
    LEAVE 2
.Lno_disk:
    li a0, 0
    LEAVE 2
END_FUNCTION disk_init

# disk_read(a0 = page of the disk, a1 = ppn) -> a0 = 0, -1 when the disk fails: the frame is filled from the disk
# disk_write(a0 = page of the disk, a1 = ppn) -> a0 = 0, -1 when the disk fails: the frame goes to the disk
FUNCTION disk_read
    li a2, REQUEST_IN
    li a3, DESCRIPTOR_F_NEXT | DESCRIPTOR_F_WRITE
    j disk_transfer
END_FUNCTION disk_read

FUNCTION disk_write
    li a2, REQUEST_OUT
    li a3, DESCRIPTOR_F_NEXT
    j disk_transfer
END_FUNCTION disk_write

# disk_transfer(a0 = page of the disk, a1 = ppn, a2 = type of the request, a3 = flags of the page's descriptor)
# -> a0 = 0, -1
LOCAL_FUNCTION disk_transfer
    la t0, disk_registers
    ld t0, 0(t0)                                # t0: registers
    beqz t0, .Lfailed
    la t1, disk_request
    sw a2, REQUEST_TYPE(t1)
    slli a0, a0, SECTORS_PER_PAGE_SHIFT
    sd a0, REQUEST_SECTOR(t1)
    la a4, disk_status                          # a4: the answer
    li t1, STATUS_NONE
    sb t1, 0(a4)
    la t1, disk_queue                           # t1: the queue
    slli a1, a1, PAGE_SHIFT
    sd a1, DESCRIPTOR_SIZE + DESCRIPTOR_ADDRESS(t1)
    sh a3, DESCRIPTOR_SIZE + DESCRIPTOR_FLAGS(t1)

    # Descriptor 0 heads every request, so each entry of the ring is the 0 that it was from the beginning.
    lhu t2, QUEUE_AVAILABLE + AVAILABLE_INDEX(t1)
    addi t2, t2, 1
    slli t2, t2, 48
    srli t2, t2, 48                             # t2: the index, of 16 bits
    fence rw, w                                 # the request before the index that offers it
    sh t2, QUEUE_AVAILABLE + AVAILABLE_INDEX(t1)
    fence w, o                                  # the index before the notification
    sw zero, VIRTIO_QUEUE_NOTIFY(t0)

    li t3, QUEUE_USED
    add t3, t1, t3                              # t3: the used ring
    rdtime t4
    la t5, disk_patience
    ld t5, 0(t5)
    add t4, t4, t5                              # t4: when to give up
.Lwait:
    lhu t5, USED_INDEX(t3)
    beq t5, t2, .Lanswered
    rdtime t5
    bltu t5, t4, .Lwait
    sw zero, VIRTIO_STATUS(t0)                  # reset, so that it touches no frame any more
    la t0, disk_registers
    sd zero, 0(t0)
    j .Lfailed
.Lanswered:
    fence r, rw                                 # the index before what it announces
    lbu t5, 0(a4)
    bnez t5, .Lfailed
    li a0, 0
    ret
.Lfailed:
    li a0, -1
    ret
END_FUNCTION disk_transfer

STRING reason_no_frame, "no available frame to allocate"
STRING reason_none, "there is no disk"
STRING reason_read_only, "the disk is read-only"
STRING reason_small, "the disk is smaller than a page"
STRING reason_refused, "the disk refuses this driver"
