# The store for pages that have lost their frames: a part of RAM that was set aside, in slots of a page.
.include "lib/abi.inc"

VARIABLE store_first_ppn
VARIABLE store_slots                            # how many there are
VARIABLE store_map                              # address of a byte for each, 1: in use

.text

# store_init(a0 = first ppn, a1 = slots, a2 = address of a byte for each slot): all slots are free
FUNCTION store_init
    la t0, store_first_ppn
    sd a0, 0(t0)
    la t0, store_slots
    sd a1, 0(t0)
    la t0, store_map
    sd a2, 0(t0)
    add a1, a2, a1
1:  beq a2, a1, 2f
    sb zero, 0(a2)
    addi a2, a2, 1
    j 1b
2:  ret
END_FUNCTION store_init

# store_put(a0 = ppn) -> a0 = number of the slot that the frame's contents went to, -1 when the store is full
FUNCTION store_put
    ENTER 1
    la t0, store_map
    ld t0, 0(t0)
    la t1, store_slots
    ld t1, 0(t1)
    li s1, 0
1:  beq s1, t1, 2f
    add t2, t0, s1
    lbu t3, 0(t2)
    beqz t3, 3f
    addi s1, s1, 1
    j 1b
3:  li t3, 1
    sb t3, 0(t2)
    mv a1, a0
    la t0, store_first_ppn
    ld t0, 0(t0)
    add a0, t0, s1
    call copy_frame
    mv a0, s1
    LEAVE 1
2:  li a0, -1
    LEAVE 1
END_FUNCTION store_put

# store_get(a0 = slot, a1 = ppn): the slot's contents go to the frame; the slot is free
FUNCTION store_get
    ENTER 1
    mv s1, a0
    la t0, store_first_ppn
    ld t0, 0(t0)
    add t0, t0, a0
    mv a0, a1
    mv a1, t0
    call copy_frame
    mv a0, s1
    call store_free
    LEAVE 1
END_FUNCTION store_get

# store_free(a0 = slot)
FUNCTION store_free
    la t0, store_map
    ld t0, 0(t0)
    add t0, t0, a0
    sb zero, 0(t0)
    ret
END_FUNCTION store_free
