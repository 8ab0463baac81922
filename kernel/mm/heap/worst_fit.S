# Kernel heap: worst fit (003). The largest free block is taken, the lowest among equals.
#
# What is left over is as large as can be, which suits requests of medium size; none of the large blocks stays whole.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ FIRST_RIVAL, 0                             # smaller than any
.equ STOP_AT_FIRST, 0
.macro SKIP_UNLESS_BETTER size, rival, skip
    bleu \size, \rival, \skip
.endm

STRING heap_allocator_name, "worst fit"
.include "mm/heap/fit.inc"
