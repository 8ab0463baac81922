# A store on the disk: the whole of it, slot n on its page n. What was on the disk is lost.
.include "lib/abi.inc"

.text

# store_open(a0 = slots wanted) -> a0 = slots, fewer on a small disk; 0 when there is no disk that can be used, and then
# a1 = why, as a string
FUNCTION store_open
    ENTER 1
    mv s1, a0
    call disk_init
    bleu a0, s1, .Lall_pages
    mv a0, s1
.Lall_pages:
    LEAVE 1
END_FUNCTION store_open

# store_write(a0 = slot, a1 = ppn) -> a0 = 0, -1 when the disk fails: the frame's contents go to the slot
FUNCTION store_write
    j disk_write
END_FUNCTION store_write

# store_read(a0 = slot, a1 = ppn) -> a0 = 0, -1 when the disk fails: the slot's contents go to the frame
FUNCTION store_read
    j disk_read
END_FUNCTION store_read
