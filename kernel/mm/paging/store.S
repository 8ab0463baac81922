# The store for pages that have lost their frames: slots of a page each. Where they lie, in RAM or on a disk, is the
# business of store_ram.S or store_disk.S: store_open(slots wanted), store_write(slot, ppn), store_read(slot, ppn).
.include "lib/abi.inc"

.equ SLOT_FREE, 0
.equ SLOT_TAKEN, 1

VARIABLE store_slots                            # how many there are, 0: none before store_init, and none after a failure
VARIABLE store_used                             # how many are taken
VARIABLE store_next                             # where to look for a free one first
VARIABLE store_map, STORE_PAGES                 # a byte for each, SLOT_FREE or SLOT_TAKEN

.text

# store_init(a0 = slots wanted, at most STORE_PAGES) -> a0 = 0, or as a string why there is no store
FUNCTION store_init
    ENTER
    call store_open
    beqz a0, .Lopened
    la t0, store_slots
    sd a0, 0(t0)
    li a1, 0
.Lopened:
    mv a0, a1
    LEAVE
END_FUNCTION store_init

# store_put(a0 = ppn) -> a0 = number of the slot that the frame's contents went to, -1 when the store is full or failed
# A store that fails once to take a page takes none any more: what it holds can still be fetched. Time: O(slots) at most.
FUNCTION store_put
    ENTER 2
    mv s1, a0                                   # s1: ppn
    la t0, store_slots
    ld t0, 0(t0)                                # t0: slots
    la t1, store_used
    ld t2, 0(t1)
    bgeu t2, t0, .Lstore_full
    addi t2, t2, 1
    sd t2, 0(t1)
    la t1, store_next
    ld s2, 0(t1)                                # s2: slot
    la t2, store_map
.Ltry_slot:
    bltu s2, t0, .Lslot_in_range
    li s2, 0                                    # from the start again: one is free, by their number
.Lslot_in_range:
    add t3, t2, s2
    lbu t4, 0(t3)
    beqz t4, .Lslot_free
    addi s2, s2, 1
    j .Ltry_slot
.Lslot_free:
    li t4, SLOT_TAKEN
    sb t4, 0(t3)
    addi t3, s2, 1
    sd t3, 0(t1)
    mv a0, s2
    mv a1, s1
    call store_write
    bnez a0, .Lwrite_failed
    mv a0, s2
    LEAVE 2
.Lwrite_failed:
    mv a0, s2
    call store_free
    la t0, store_slots
    sd zero, 0(t0)
    la a0, line_failed
    call print_string
.Lstore_full:
    li a0, -1
    LEAVE 2
END_FUNCTION store_put

# store_get(a0 = slot, a1 = ppn) -> a0 = 0, and the slot's contents are in the frame and the slot is free; -1 when it
# cannot be read, and stays taken
FUNCTION store_get
    ENTER 1
    mv s1, a0
    call store_read
    bnez a0, .Lgot
    mv a0, s1
    call store_free
    li a0, 0
.Lgot:
    LEAVE 1
END_FUNCTION store_get

# store_free(a0 = slot)
FUNCTION store_free
    la t0, store_map
    add t0, t0, a0
    sb zero, 0(t0)                              # SLOT_FREE
    la t0, store_used
    ld t1, 0(t0)
    addi t1, t1, -1
    sd t1, 0(t0)
    ret
END_FUNCTION store_free

STRING line_failed, "[kernel] the store of pages fails and takes no more: pages stay in memory\n"
