# A store in RAM: frames that are set aside.
.include "lib/abi.inc"

VARIABLE store_first_ppn

.text

# store_open(a0 = slots wanted) -> a0 = slots; 0 when there is no room for them, and then a1 = why, as a string
FUNCTION store_open
    ENTER 1
    mv s1, a0
    call frame_alloc_contiguous
    la a1, reason_no_room
    beqz a0, .Lreserved
    la t0, store_first_ppn
    sd a0, 0(t0)
    mv a0, s1
.Lreserved:
    LEAVE 1
END_FUNCTION store_open

# store_write(a0 = slot, a1 = ppn) -> a0 = 0: the frame's contents go to the slot
FUNCTION store_write
    ENTER
    la t0, store_first_ppn
    ld t0, 0(t0)
    add a0, t0, a0
    call copy_frame
    li a0, 0
    LEAVE
END_FUNCTION store_write

# store_read(a0 = slot, a1 = ppn) -> a0 = 0: the slot's contents go to the frame
FUNCTION store_read
    ENTER
    mv t0, a0
    mv a0, a1
    la t1, store_first_ppn
    ld t1, 0(t1)
    add a1, t1, t0
    call copy_frame
    li a0, 0
    LEAVE
END_FUNCTION store_read

STRING reason_no_room, "no room in memory for a store"
